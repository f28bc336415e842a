export const JA = Object.freeze({
  "Shared cameras": "共有カメラ",
  "Shared with you until {time}.": "{time} まで共有されています。",
  "This link does not open: {reason}.": "このリンクは開けません：{reason}。",
  "the time of the link is over": "リンクの期限が切れました",
  "the link was revoked": "リンクは失効しました",
  "the person who made the link may not share this any more": "リンクの作成者に共有する権限がなくなりました",
  "the account was removed": "リンクの作成者のアカウントが削除されました",
  "the link did not survive a restart": "再起動によりリンクが無効になりました",
  "this link is not valid: it may be incomplete, or it ended long ago":
    "リンクが正しくありません。途中で切れているか、ずっと前に終了しています",
  "As many people as this link permits are watching. Try again when somebody has left.":
    "このリンクで視聴できる人数に達しています。誰かが終了してからもう一度お試しください。",
  "You are logged in. Log out to watch with this link, or go to your own cameras.":
    "ログイン中です。このリンクで視聴するにはログアウトするか、自分のカメラに移動してください。",
  "Log out and watch": "ログアウトして視聴",
  "To my cameras": "自分のカメラへ",
  "Try again": "もう一度",
});
