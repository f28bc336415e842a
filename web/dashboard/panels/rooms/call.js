// The presence in a room: one WebSocket to the server, and a link to every other participant.
import { t } from "../../i18n.js";
import { createLink } from "./link.js";
import { NOWHERE, step } from "./participants.js";
import { openSignaling } from "./signaling.js";

// `onChange()`; `onText(peer, text)`; `onProblem(text)`: the call continues; `onEnd(text)`: it does not.
export function createCall({ base, first, stream, iceServers, onChange, onText, onProblem, onEnd }) {
  const links = new Map();
  let seat = NOWHERE;
  const signaling = openSignaling({ base, first, onMessage: take, onEnd: (text) => end(text) });

  function link(peer) {
    links.get(peer)?.close();
    const made = createLink({
      peer,
      stream,
      iceServers,
      send: signaling.send,
      onChange,
      onText: (text) => onText(peer, text),
    });
    links.set(peer, made);
    return made;
  }

  function hang(peer) {
    links.get(peer)?.close();
    links.delete(peer);
  }

  function take(message) {
    const next = step(seat, message);
    seat = next.seat;
    next.hang.forEach(hang);
    for (const peer of next.call) watch(link(peer).call());
    const known = links.get(message.from);
    if (message.type === "Offer")
      watch((known && known.state() !== "closed" ? known : link(message.from)).answer(message.sdp));
    if (message.type === "Answer" && known) watch(known.accept(message.sdp));
    if (message.type === "IceCandidate") known?.add(message.candidate);
    if (message.type === "Error") refused(message);
    onChange();
  }

  // Before the room is entered, an error ends the call; later it concerns one message, or a participant who left.
  function refused({ code, message }) {
    if (seat.room === null) end(`${code}: ${message}.`);
    else if (code !== "ParticipantNotFound") onProblem(`${code}: ${message}.`);
  }

  function watch(promise) {
    promise.catch(() => onProblem(t("A connection could not be made.")));
  }

  function close() {
    signaling.close();
    [...links.keys()].forEach(hang);
    for (const track of stream.getTracks()) track.stop();
  }

  function end(text) {
    close();
    onEnd(text);
  }

  return {
    seat: () => seat,
    links,
    say: (text) => links.forEach((each) => each.say(text)),
    // The server learns of it from the end of the socket.
    close,
  };
}
