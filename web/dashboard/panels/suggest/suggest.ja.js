export const JA = Object.freeze({
  "Suggestions": "おすすめ",
  "How long it is shown": "表示の残り時間",
  "Dismiss": "閉じる",
  "Dismiss this suggestion": "このおすすめを閉じる",
  "Dismiss the suggestion of {camera}": "{camera} のおすすめを閉じる",
  "{label} at {camera}, {percent} %": "{camera}：{label}（{percent} %）",
});
