// One connection to one other participant: video, audio and text go from browser to browser.
import { all, on } from "../../dom.js";

const KINDS = ["audio", "video"];
const LONGEST = 4000;

// `send(message)` reaches the other participant through the server; `onChange()`; `onText(text)`.
export function createLink({ peer, stream, iceServers, send, onChange, onText }) {
  // In one bundle, so that a candidate needs no more than its text.
  const connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
  const remote = new MediaStream();
  let channel = null;
  let calls = false;
  let unhear = () => {};

  const detach = all(
    on(
      connection,
      "icecandidate",
      ({ candidate }) =>
        candidate?.candidate && send({ type: "IceCandidate", to: peer, candidate: candidate.candidate }),
    ),
    on(connection, "track", ({ track }) => {
      remote.addTrack(track);
      onChange();
    }),
    on(connection, "connectionstatechange", () => {
      if (connection.connectionState === "failed" && calls) call({ iceRestart: true });
      onChange();
    }),
    on(connection, "datachannel", (event) => hear(event.channel)),
  );

  function hear(opened) {
    unhear();
    channel = opened;
    unhear = all(
      on(opened, "open", onChange),
      on(opened, "message", ({ data }) => onText(String(data).slice(0, LONGEST))),
    );
  }

  async function call(options) {
    if (!calls) {
      calls = true;
      hear(connection.createDataChannel("words"));
      // Both kinds, also where this browser has none: the other participant may have them.
      for (const kind of KINDS) {
        const [track] = stream.getTracks().filter((each) => each.kind === kind);
        connection.addTransceiver(track ?? kind, track ? { streams: [stream] } : { direction: "recvonly" });
      }
    }
    await connection.setLocalDescription(await connection.createOffer(options));
    send({ type: "Offer", to: peer, sdp: connection.localDescription?.sdp });
  }

  async function answer(sdp) {
    await connection.setRemoteDescription({ type: "offer", sdp });
    if (connection.getSenders().every(({ track }) => !track))
      for (const track of stream.getTracks()) connection.addTrack(track, stream);
    await connection.setLocalDescription();
    send({ type: "Answer", to: peer, sdp: connection.localDescription?.sdp });
  }

  return {
    peer,
    remote,
    call,
    answer,
    accept: (sdp) => connection.setRemoteDescription({ type: "answer", sdp }),
    // A candidate that cannot be used is not an error: there are others.
    add: (candidate) => connection.addIceCandidate({ candidate, sdpMLineIndex: 0 }).catch(() => {}),
    say: (text) => channel?.readyState === "open" && channel.send(text.slice(0, LONGEST)),
    state: () =>
      connection.connectionState === "connected" && channel?.readyState !== "open"
        ? "connecting"
        : connection.connectionState,
    stats: () => connection.getStats(),
    close() {
      detach();
      unhear();
      connection.close();
    },
  };
}
