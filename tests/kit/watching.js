// Runs in a page before its scripts: records every displayed picture and keeps the connections. CELL and BITS are those
// of numbered.py; they are prepended to this file.
(() => {
  const connections = [];
  const shown = []; // [milliseconds of the wall clock, pictures presented so far, number in the picture]
  const begun = new WeakSet();
  const Stock = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class RTCPeerConnection extends Stock {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }
  };

  const strip = new OffscreenCanvas(BITS, 1).getContext("2d", { willReadFrequently: true });
  strip.imageSmoothingEnabled = false;

  // One pixel from the middle of each cell; noise and compression leave black and white far apart.
  function numberIn(video) {
    strip.drawImage(video, 0, 0, BITS * CELL, CELL, 0, 0, BITS, 1);
    const { data } = strip.getImageData(0, 0, BITS, 1);
    let number = 0;
    for (let bit = 0; bit < BITS; bit++) number |= (data[bit * 4] > 127) << bit;
    return number;
  }

  function look(video, now, { presentationTime, presentedFrames }) {
    shown.push([performance.timeOrigin + presentationTime, presentedFrames, numberIn(video)]);
    video.requestVideoFrameCallback((...next) => look(video, ...next));
  }

  document.addEventListener("playing", ({ target }) => {
    if (begun.has(target) || !target.requestVideoFrameCallback) return;
    begun.add(target);
    target.requestVideoFrameCallback((...first) => look(target, ...first));
  }, true);

  globalThis.watching = {
    shown,
    connected: () => connections.some((each) => each.connectionState === "connected"),
    // Statistics of the newest connection, with the number of connections, the wall clock and the remote ports.
    async statistics() {
      const entries = [...(await connections.at(-1).getStats()).values()];
      return {
        at: performance.timeOrigin + performance.now(),
        connections: connections.length,
        ports: entries.filter((each) => each.type === "remote-candidate").map((each) => each.port),
        received: entries.find((each) => each.type === "inbound-rtp" && each.kind === "video") ?? {},
      };
    },
  };
})();
