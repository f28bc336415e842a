// One WebRTC connection to one camera, from offer to release. It closes everything that it opens, in this order: tracks
// → video element → connection → listeners.
import { Refusal } from "../ask.js";
import { startWatchdog } from "./watchdog.js";
import { codecName } from "../format.js";
import { end, offer, peerOf } from "./whep.js";
import { t } from "../i18n.js";

// Host candidates are gathered within a few milliseconds; the server learns later ones from the connectivity checks.
const GATHERING_MS = 100;

// Its problem document names the `codec` that the camera sends, where that is known.
const UNSUPPORTED = "urn:banken:problem:unsupported-codec";

// With `sound` the offer includes audio. The server sends audio only where it was offered, and does not even create it
// while no peer wants it. `headers()` → additional headers of the offer, asynchronously; an error that it raises counts
// as the server's answer. `report` receives the events of table.js, never before this function has returned.
// `cameraIsLive()` tells whether silence is the connection's fault.
export function openSession({ url, headers = () => ({}), video, sound, report, cameraIsLive }) {
  if (!globalThis.RTCPeerConnection) return without(report);
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const listeners = new AbortController();
  const { signal } = listeners;
  const stream = new MediaStream();
  let session = null;
  let substream = null;
  let connected = false;

  connection.addTransceiver("video", { direction: "recvonly" });
  if (sound) connection.addTransceiver("audio", { direction: "recvonly" });
  connection.addEventListener(
    "track",
    ({ track }) => {
      stream.addTrack(track);
      if (track.kind === "video") show(video, stream);
    },
    { signal },
  );
  connection.addEventListener(
    "connectionstatechange",
    () => {
      connected ||= connection.connectionState === "connected";
      if (connection.connectionState !== "failed") return;
      report(
        connected
          ? { type: "lost", reason: t("the connection to the server broke") }
          : { type: "blocked", reason: t("the server cannot be reached by WebRTC") },
      );
    },
    { signal },
  );
  const watchdog = startWatchdog({ connection, report, cameraIsLive });

  negotiate().catch((error) => {
    if (signal.aborted) return;
    if (!(error instanceof Refusal)) return report({ type: "lost", reason: t("the server did not answer") });
    const {
      status,
      reason,
      retryAfter,
      problem: { type, codec },
    } = error;
    report(
      type === UNSUPPORTED
        ? { type: "blocked", hopeless: true, reason: unplayable(codec) }
        : { type: "refused", status, reason, retryAfter },
    );
  });

  async function negotiate() {
    await connection.setLocalDescription();
    await gathered(connection, GATHERING_MS);
    if (signal.aborted) return;
    const carried = await headers();
    if (signal.aborted) return;
    const accepted = await offer(url, connection.localDescription?.sdp, carried);
    // Closed while the answer was on its way: the peer on the server must not be left behind.
    if (signal.aborted) return void (accepted.session && end(accepted.session));
    ({ session, substream } = accepted);
    await connection.setRemoteDescription({ type: "answer", sdp: accepted.answer });
  }

  return {
    statistics: () => ({ framesDecoded: watchdog.framesDecoded(), peerConnectionState: connection.connectionState }),
    // The browser's statistics of the connection: a map of entries (W3C, webrtc-stats).
    measure: () => connection.getStats(),
    peer: () => session && peerOf(session),
    substream: () => substream,
    // The server has ended the connection: there is no peer left to close.
    forget: () => (session = null),
    close() {
      if (signal.aborted) return;
      watchdog.stop();
      if (session) end(session);
      for (const receiver of connection.getReceivers()) receiver.track?.stop();
      clear(video);
      connection.close();
      listeners.abort();
    },
  };
}

// `codec` is null where the camera has not sent a picture yet.
const unplayable = (codec) =>
  codec
    ? t("this browser does not play {codec}, which the camera sends", { codec: codecName(codec) })
    : t("this browser plays neither H.264 nor H.265");

function without(report) {
  queueMicrotask(() => report({ type: "blocked", hopeless: true, reason: t("this browser has no WebRTC") }));
  return {
    statistics: () => ({ framesDecoded: 0, peerConnectionState: "closed" }),
    measure: () => Promise.resolve(null),
    peer: () => null,
    substream: () => null,
    forget() {},
    close() {},
  };
}

function show(video, stream) {
  video.srcObject = stream;
  // Rejected when the source is replaced before it plays; the next one starts without a call.
  video.play().catch(() => {});
}

function clear(video) {
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
}

function gathered(connection, milliseconds) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
