export const JA = Object.freeze({
  "{used} of {most}": "{most}中 {used}",
  "{count} connection": "{count} 接続",
  "{count} connections": "{count} 接続",
  "Devices": "装置",
  "Devices and their connections": "装置とその接続",
  "No camera is assigned to a device, so each can connect at any time.":
    "装置を指定したカメラがないため、各カメラはいつでも接続できます。",
  "it refused more than {most}": "{most} を超える接続を拒否しました",
  "{configured} configured": "設定は {configured}",
  "its connection limit is not known": "同時接続数は不明です",
  "holds a slot ({use}) for": "接続中（{use}）",
  "held a slot ({use}) for": "接続していました（{use}）",
  "waited ({use}) for": "待機していました（{use}）",
  "waits ({use}) for": "待機中（{use}）",
  "devices": "装置",
});
