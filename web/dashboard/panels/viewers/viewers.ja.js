export const JA = Object.freeze({
  "{time} left": "残り {time}",
  "opened {time}": "接続 {time}",
  "Viewers": "視聴者",
  "for": "用途",
  "lease": "リース",
  "holder": "保持者",
  "end it": "終了させる",
  "a tile": "一覧",
  "the large view": "拡大表示",
  "the suggestion": "おすすめ",
  "RTSP": "RTSP",
  "RTSP over TCP": "RTSP (TCP)",
  "RTSP over UDP": "RTSP (UDP)",
  "{client} reads {camera} by RTSP. Its connection will be closed.":
    "{client} が RTSP で {camera} を読んでいます。接続は閉じられます。",
  "lease only": "リースのみ",
  "snapshots": "静止画",
  "this page": "この画面",
  "End the connection of {client} to {camera}": "{client} から {camera} への接続を終了",
  "Nobody watches.": "視聴者はいません。",
  "Nobody watched.": "視聴者はいませんでした。",
  "End the lease of {client} on {camera}": "{client} の {camera} のリースを終了",
  "End this lease?": "このリースを終了しますか？",
  "{client} holds a lease on {camera}, and nobody watches under it.":
    "{client} が {camera} のリースを保持していますが、誰も視聴していません。",
  "End this connection?": "この接続を終了しますか？",
  ["{client} watches {camera}. Its page will say that an operator ended the connection, and will not " +
    "come back by itself."]:
    "{client} が {camera} を視聴中です。相手の画面には管理者が終了したと表示され、自動では再接続しません。",
  "{client} watches {camera}. Its page will say that an operator ended the lease, and will not come back by itself.":
    "{client} が {camera} を視聴中です。相手の画面には管理者がリースを終了したと表示され、自動では再接続しません。",
  "This page watches {camera}. It will say that an operator ended the connection, and will not come back by itself.":
    "この画面が {camera} を視聴中です。管理者が接続を終了したと表示し、自動では再接続しません。",
  "This page watches {camera}. It will say that an operator ended the lease, and will not come back by itself.":
    "この画面が {camera} を視聴中です。管理者がリースを終了したと表示し、自動では再接続しません。",
  "Keep it": "続ける",
  "End it": "終了する",
});
