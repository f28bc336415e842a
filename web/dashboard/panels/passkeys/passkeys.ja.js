export const JA = Object.freeze({
  "Passkeys": "パスキー",
  "Passkeys of {user}": "{user} のパスキー",
  "A passkey is a key on your device. It logs you in by a fingerprint, your face or a PIN.":
    "パスキーは端末にある鍵です。指紋、顔または PIN でログインできます。",
  "Add a passkey": "パスキーを追加",
  "Name of the passkey": "パスキーの名前",
  "Your password, since your login was long ago": "ログインから時間が経っているため、パスワードを入力してください",
  "The password is wrong.": "パスワードが違います。",
  "added {time}": "{time} に追加",
  "last used {time}": "最終使用 {time}",
  "never used": "未使用",
  "Rename": "名前を変更",
  "Rename {passkey}": "{passkey} の名前を変更",
  "Remove {passkey}": "{passkey} を削除",
  "Remove {passkey}?": "{passkey} を削除しますか？",
  "It opens nothing any more, and other sessions that it has opened end. Delete it on the device, too.":
    "このパスキーではログインできなくなり、これで開いたほかのセッションは終了します。端末側でも削除してください。",
  "{passkey} was added. You can log in with it now.": "{passkey} を追加しました。これでログインできます。",
  "{passkey} was renamed.": "{passkey} に名前を変更しました。",
  "{passkey} was removed.": "{passkey} を削除しました。",
  "{user} has no passkey.": "{user} のパスキーはありません。",
  "No passkey was made: it was cancelled, or took too long.":
    "パスキーは作成されませんでした。キャンセルされたか、時間切れです。",
});
