export const JA = Object.freeze({
  "Nobody has to log in": "ログインは不要です",
  "Until there is a user, everybody on this machine may do everything.":
    "利用者が登録されるまで、このマシンからは誰でもすべての操作ができます。",
  "My sessions": "自分のセッション",
  "Change password": "パスワードの変更",
  "Log out": "ログアウト",
  "this browser": "このブラウザ",
  "{client}, since {time}": "{client}、{time} から",
  "End the session of {browser}, {client}": "{browser}（{client}）のセッションを終了する",
  "Old password": "現在のパスワード",
  "New password": "新しいパスワード",
  "Show the passwords": "パスワードを表示する",
  "The old password is wrong.": "現在のパスワードが違います。",
  "The password was changed. Your other sessions have ended.":
    "パスワードを変更しました。ほかのセッションは終了しました。",
});
