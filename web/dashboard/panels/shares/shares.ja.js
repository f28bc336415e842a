export const JA = Object.freeze({
  "Shared links": "共有リンク",
  "With a link, others watch some of your cameras until its end, without an account and without the past.":
    "リンクを知っている人は、期限までカメラを視聴できます。アカウントは不要で、過去の記録は見られません。",
  "Make a link": "リンクを作成",
  "in an hour": "1 時間後",
  "in 8 hours": "8 時間後",
  "in a week": "1 週間後",
  "in 90 days": "90 日後",
  "Viewers at the same time": "同時に視聴できる人数",
  "Name, for you": "名前（自分用）",
  "The new link": "新しいリンク",
  "The link as a QR code": "リンクの QR コード",
  "It is shown only now. Everybody who has it can watch.":
    "表示されるのは今だけです。リンクを知っている人は誰でも視聴できます。",
  "The link opens nothing any more, and whoever watches with it stops within a second.":
    "リンクは使えなくなり、視聴中の人も 1 秒以内に終了します。",
  "Choose at least one camera.": "カメラを 1 台以上選んでください。",
  "Enter a number of viewers from 1 to 50.": "人数は 1 から 50 までの数で入力してください。",
  "{present} of {viewers} watching": "{viewers} 人中 {present} 人が視聴中",
  "made by {name}": "作成者 {name}",
  "Revoke the link {name}": "リンク {name} を失効",
  "Revoke the link {name}?": "リンク {name} を失効させますか？",
  "The link {name} was revoked.": "リンク {name} を失効させました。",
});
