// The WebSocket of rooms, banken.signaling.v1: JSON in, JSON out, at a pace that the server takes.
import { all, on } from "../dom.js";
import { t } from "../i18n.js";
import { createPace } from "./pace.js";

const PROTOCOL = "banken.signaling.v1";

// `onMessage(message)`; `onEnd(text)` once, unless it was closed by `close`.
export function openSignaling({ base, first, onMessage, onEnd }) {
  const url = new URL("ws/signaling", base);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, PROTOCOL);
  const pace = createPace((message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message)));
  const detach = all(
    on(socket, "open", () => pace.send(first)),
    on(socket, "message", ({ data }) => onMessage(JSON.parse(data))),
    on(socket, "close", ({ code, reason }) => {
      close();
      onEnd(endOf(code, reason));
    }),
  );

  function close() {
    detach();
    pace.stop();
    socket.close();
  }

  return { send: pace.send, close };
}

// Pure.
export function endOf(code, reason) {
  if (code === 1001) return t("banken is stopping, and the room with it.");
  if (code === 1006) return t("The connection to banken was lost, or refused. Join again; the room waits for a minute.");
  return t("banken ended the connection: {reason}.", { reason: reason || code });
}
