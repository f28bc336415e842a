export const JA = Object.freeze({
  "Keyboard": "キーボード",
  "space": "スペース",
  "esc": "esc",
  "enter": "enter",
  "this list": "この一覧",
});
