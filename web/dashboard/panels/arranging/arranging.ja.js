export const JA = Object.freeze({
  "move this camera back": "このカメラを一つ前へ",
  "move it forward": "このカメラを一つ後へ",
  "arrange the cameras": "カメラを並べ替える",
});
