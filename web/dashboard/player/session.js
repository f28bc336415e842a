// One WebRTC connection to one camera, from offer to release. Everything it opens it closes, in this order:
// tracks → video element → connection → listeners.
import { startWatchdog } from "./watchdog.js";
import { end, offer, peerOf, Refusal } from "./whep.js";

// Host candidates are gathered within a few milliseconds; the server learns later ones from the checks themselves.
const GATHERING_MS = 100;

// `report` receives the events of table.js, never before this has returned; `cameraIsLive()` says whether silence is
// the connection's fault.
export function openSession({ url, video, report, cameraIsLive }) {
  if (!globalThis.RTCPeerConnection) return without(report);
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const listeners = new AbortController();
  const { signal } = listeners;
  let location = null;
  let connected = false;

  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addEventListener("track", ({ track }) => show(video, track), { signal });
  connection.addEventListener("connectionstatechange", () => {
    connected ||= connection.connectionState === "connected";
    if (connection.connectionState !== "failed") return;
    report(connected
      ? { type: "lost", reason: "the connection to the server broke" }
      : { type: "blocked", reason: "the server cannot be reached by WebRTC" });
  }, { signal });
  const watchdog = startWatchdog({ connection, report, cameraIsLive });

  negotiate().catch((error) => {
    if (signal.aborted) return;
    report(error instanceof Refusal
      ? { type: "refused", status: error.status, reason: error.reason, retryAfter: error.retryAfter }
      : { type: "lost", reason: "the server did not answer" });
  });

  async function negotiate() {
    await connection.setLocalDescription();
    await gathered(connection, GATHERING_MS);
    if (signal.aborted) return;
    const accepted = await offer(url, connection.localDescription.sdp);
    // Closed while the answer was on its way: the server's half must not be left behind.
    if (signal.aborted) return void (accepted.location && end(accepted.location));
    location = accepted.location;
    await connection.setRemoteDescription({ type: "answer", sdp: accepted.answer });
  }

  return {
    statistics: () => ({ framesDecoded: watchdog.framesDecoded(), peerConnectionState: connection.connectionState }),
    peer: () => location && peerOf(location),
    // The server has ended it: there is nothing left to be told to it.
    forget: () => (location = null),
    close() {
      if (signal.aborted) return;
      watchdog.stop();
      if (location) end(location);
      for (const receiver of connection.getReceivers()) receiver.track?.stop();
      clear(video);
      connection.close();
      listeners.abort();
    },
  };
}

function without(report) {
  queueMicrotask(() => report({ type: "blocked", hopeless: true, reason: "this browser has no WebRTC" }));
  return {
    statistics: () => ({ framesDecoded: 0, peerConnectionState: "closed" }),
    peer: () => null,
    forget() {},
    close() {},
  };
}

function show(video, track) {
  video.srcObject = new MediaStream([track]);
  // Rejected when the source is replaced before it plays; the next one starts by itself.
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
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
