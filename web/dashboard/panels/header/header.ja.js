export const JA = Object.freeze({
  "Your access has changed.": "権限が変更されました。",
  "offline": "オフライン",
  "replay": "再生",
  "Anyone who can reach {address} can watch and control. banken asks for no password.":
    "{address} に接続できる人は誰でも視聴と操作ができます。banken はパスワードを要求しません。",
  "of": "／",
  "reconnecting now": "再接続しています",
  "reconnecting in {time}": "{time}後に再接続",
  "{live}/{all} live · banken": "{live}/{all} ライブ · banken",
  "No answer from banken since {time}. The last known state is shown.":
    "{time} から banken の応答がありません。表示は最後に分かっていた状態です。",
  "other times: {zone}": "ほかの時刻：{zone}",
  "UTC offset of the times on this page that show none": "この画面で時差の表示がない時刻の時差",
  "Switch theme": "テーマを切り替える",
  "Switch theme (T)": "テーマを切り替える (T)",
  "Switch to the dark theme": "暗いテーマにする",
  "Switch to the light theme": "明るいテーマにする",
  "Keyboard shortcuts": "キーボード操作",
  "Keyboard shortcuts (?)": "キーボード操作 (?)",
  "Settings (,)": "設定 (,)",
  "Arrange the cameras (a)": "カメラを並べ替える (a)",
  "dark or light": "明暗のテーマ",
});
