// The WebSocket of rooms, banken.signaling.v1: JSON in both directions, at a rate that the server accepts.
import { socketOf } from "../../address.js";
import { all, on } from "../../dom.js";
import { t } from "../../i18n.js";
import { createPace } from "./pace.js";

const PROTOCOL = "banken.signaling.v1";

// `onMessage(message)`; `onEnd(text)` once, unless `close` closed it.
export function openSignaling({ base, first, onMessage, onEnd }) {
  const socket = new WebSocket(socketOf("ws/signaling", base), PROTOCOL);
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
  if (code === 1006)
    return t("The connection to banken was lost, or refused. Join again; the room waits for a minute.");
  return t("banken ended the connection: {reason}.", { reason: reason || code });
}
