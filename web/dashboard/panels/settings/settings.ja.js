export const JA = Object.freeze({
  "Language": "言語",
  "as the browser": "ブラウザに合わせる",
  "Suggestions stop while this tab is hidden": "タブが隠れている間はおすすめを止める",
  "Reset the layout": "配置を元に戻す",
  "These settings are stored in this browser only.": "これらの設定はこのブラウザだけに保存されます。",
  "settings": "設定",
});
