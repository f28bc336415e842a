export const JA = Object.freeze({
  "Easy to guess. Longer is better: four words, for example.":
    "推測されやすいパスワードです。4 つの単語を並べるなど、長いほど安全です。",
  "Harder to guess. Longer is better.": "推測されにくいパスワードです。長いほど安全です。",
  "Hard to guess.": "推測が難しいパスワードです。",
  "Open the whole link that the command banken setup-link prints.":
    "コマンド banken setup-link が表示するリンク全体を開いてください。",
  "Somebody else has added the first user.": "ほかの人が最初の利用者を追加しました。",
  "This link is wrong, was used, or is too old. The command banken setup-link prints a new one.":
    "このリンクは正しくないか、使用済みか、期限切れです。コマンド banken setup-link で新しいリンクを表示できます。",
});
