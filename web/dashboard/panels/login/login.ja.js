export const JA = Object.freeze({
  "Enter your name and your password.": "名前とパスワードを入力してください。",
  "The name or the password is wrong.": "名前またはパスワードが違います。",
  "Again in {time}": "{time}後にもう一度",
  "Your session was ended, or your access has changed. Log in again.":
    "セッションが終了したか、権限が変更されました。もう一度ログインしてください。",
  "banken has users now: from now on, everybody logs in.":
    "banken に利用者が登録されました。これからは全員がログインします。",
  "You have logged out.": "ログアウトしました。",
  "Log in with a passkey": "パスキーでログイン",
  "or by name and password": "または名前とパスワードで",
  "No passkey was used: it was cancelled, or this device has none for banken.":
    "パスキーは使われませんでした。キャンセルされたか、この端末に banken 用のパスキーがありません。",
  "The passkey was not accepted. It may be removed.":
    "パスキーは受け付けられませんでした。削除された可能性があります。",
});
