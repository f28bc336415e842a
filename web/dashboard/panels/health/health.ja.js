export const JA = Object.freeze({
  "All is well": "すべて正常です",
  "Degraded": "一部に問題があります",
  "Critical": "重大な問題があります",
  "No part reports a problem.": "問題の報告はありません。",
  "Last known state": "最後に分かっていた状態",
});
