export const JA = Object.freeze({
  "Clip": "クリップ",
  "From": "開始",
  "To": "終了",
  "Download": "ダウンロード",
  "Gaps in this time": "この時間の欠落",
  "Progress of the download": "ダウンロードの進行状況",
  "{from} to {to}: no video: {reason}": "{from} から {to}: 映像なし: {reason}",
  "Choose a time that ends after its beginning.": "終了は開始より後にしてください。",
  "Nothing is recorded of this time.": "この時間の録画はありません。",
  "This time cannot be one clip: the camera sent other video meanwhile, or it is too long.":
    "この時間は 1 つのクリップにできません。途中で映像の形式が変わったか、長すぎます。",
  "The clip is downloaded ({size}).": "クリップをダウンロードしました（{size}）。",
  "{count} part": "{count} 区間",
  "{count} parts": "{count} 区間",
  "{count} gap": "欠落 {count} か所",
  "{count} gaps": "欠落 {count} か所",
});
