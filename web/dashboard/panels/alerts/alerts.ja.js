export const JA = Object.freeze({
  "Alerts": "警報",
  "configuration": "設定",
  "{origin} was changed and cannot be used; the configuration before it stays in use. Correct it, then reload it.":
    "変更された {origin} は使えないため、前の設定のまま動いています。直してから再読み込みしてください。",
  "and {problems} more": "ほか {problems}",
  "{count} problem": "{count} 件",
  "{count} problems": "{count} 件",
});
