// Runs in a page before its scripts: replaces its clock, timers, server and connections, so that three days pass in a
// minute. `kiosk` drives them. The server's timers use the same clock, but are counted separately.
(() => {
  const began = Date.UTC(2026, 10, 22, 6);
  const page = new Map(); // the page's timers
  const world = new Map(); // the server's
  const StockDate = Date;
  let now = began;
  let ids = 0;

  globalThis.Date = class Date extends StockDate {
    constructor(...given) {
      super(...(given.length ? given : [now]));
    }
    static now = () => now;
  };
  performance.now = () => now - began;

  const plan = (timers) => (action, after = 0, every = null) => {
    timers.set((ids += 1), { at: now + Math.max(0, after), action, every });
    return ids;
  };
  const arm = plan(page);
  const later = plan(world);
  globalThis.setTimeout = (action, after, ...given) => arm(() => action(...given), after);
  globalThis.setInterval = (action, every, ...given) => arm(() => action(...given), every, Math.max(1, every));
  globalThis.clearTimeout = globalThis.clearInterval = (id) => page.delete(id);
  globalThis.requestAnimationFrame = (action) => arm(() => action(now), 16);
  globalThis.cancelAnimationFrame = (id) => page.delete(id);
  AbortSignal.timeout = () => new AbortController().signal;

  function earliest() {
    let found = null;
    for (const timers of [page, world]) {
      for (const [id, timer] of timers) if (!found || timer.at < found.timer.at) found = { timers, id, timer };
    }
    return found;
  }

  // Microtasks run between two timers.
  async function settle() {
    for (let turn = 0; turn < 12; turn += 1) await null;
  }

  async function pass(milliseconds) {
    const until = now + milliseconds;
    for (let next = earliest(); next && next.timer.at <= until; next = earliest()) {
      const { timers, id, timer } = next;
      now = Math.max(now, timer.at);
      if (timer.every === null) timers.delete(id);
      else timer.at += timer.every;
      timer.action();
      await settle();
    }
    now = until;
  }

  // ── the server ──

  const CAMERAS = ["attic", "front", "gate", "yard"];
  const server = { run: 1, seq: 0, up: true, sockets: new Set(), leases: new Set(), peers: new Set(), suggestions: [], asked: 0 };
  const iso = (at = now) => new StockDate(at).toISOString();

  const camera = (id) => ({
    id, title: id, watch: id !== "attic", mode: id === "attic" ? "on_demand" : "always", state: id === "gate" ? "waiting" : id === "attic" ? "idle" : "live",
    since: iso(began), reason: id === "gate" ? { code: "unreachable", text: "connection refused", fault: "temporary" } : null,
    retry_at: id === "gate" ? iso(now + 7000) : null, device: null, codec: "h264", width: 640, height: 360, audio: "", mute: "", viewers: 1,
    fps: 14 + Math.random(), bitrate: 1e6 + 1e5 * Math.random(), frames: server.seq, last_frame_age_ms: id === "gate" ? null : 40,
  });

  const state = () => ({
    type: "state", now: iso(), cameras: CAMERAS.map(camera), peers: [], uses: [], leases: [], suggestions: server.suggestions,
    health: { verdict: server.seq % 2 ? "ok" : "degraded", parts: server.seq % 2 ? [] : [{ part: "alert/disk", verdict: "degraded", reason: "80 % full" }] },
  });

  function event() {
    const id = CAMERAS[server.seq % CAMERAS.length];
    server.seq += 1;
    return {
      seq: server.seq, time: iso(), stream: `camera/${id}`, type: server.seq % 3 ? "CameraLive" : "ChildEnded", severity: ["info", "notice", "warning", "error"][server.seq % 4],
      text: `something happened to ${id}`, cause: null, principal: "system", correlation: `c${server.seq}`, version: 1,
      body: { camera: id, child: `k${server.seq}`, reason: { code: "x", text: "because", fault: "none" }, exit_code: 0, signal: null, stderr_tail: [] },
    };
  }

  globalThis.WebSocket = class {
    constructor() {
      later(() => {
        if (!server.up) return this.onclose?.();
        server.sockets.add(this);
        this.say({ type: "hello", version: "0", node: "n", run: `r${server.run}`, now: iso(), first: 1, began: iso(began), last: server.seq, replay: null });
        this.say(state());
      }, 20);
    }
    say(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
    close() {
      server.sockets.delete(this);
    }
  };

  const tell = (message) => server.sockets.forEach((socket) => socket.say(message));
  const drop = () => [...server.sockets].forEach((socket) => (server.sockets.delete(socket), socket.onclose?.()));
  later(() => tell(state()), 3000, 3000); // before the page doubts (feed.js), and not as often as a server, for speed
  later(() => tell({ type: "events", events: [event()] }), 5000, 15_000);
  // The connection breaks every hour. Every five hours the server is away for a minute, and is another one afterwards.
  later(drop, 1_800_000, 3_600_000);
  later(() => {
    server.up = false;
    drop();
    later(() => {
      [server.up, server.run] = [true, server.run + 1];
      server.peers.clear();
      server.leases.clear();
    }, 60_000);
  }, 9_000_000, 18_000_000);
  // A suggestion every twenty minutes.
  later(() => {
    const times = { since: iso(), time: iso(), until: iso(now + 30_000), remaining_s: 30 };
    server.suggestions = [{ lease: `S${server.seq}`, camera: "front", label: "person", score: 0.9, detection: "D", by: "test", box: null, image: null, ...times }];
    later(() => (server.suggestions = []), 30_000);
  }, 600_000, 1_200_000);

  // The body of a real Response is read in real time; this one is read in microtasks.
  function reply(status, body, headers = {}) {
    const parts = { status, ok: status < 400, url: location.origin, headers: new Headers(headers), text: async () => body, json: async () => JSON.parse(body) };
    return Object.create(Response.prototype, Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, { value }])));
  }
  const json = (body) => reply(200, JSON.stringify(body), { "Content-Type": "application/json" });

  globalThis.fetch = async (input, { method = "GET" } = {}) => {
    await null;
    server.asked += 1;
    if (!server.up) throw new TypeError("no line");
    const { pathname } = new URL(input, location.href);
    const name = `${(ids += 1)}`;
    if (method === "POST" && pathname.startsWith("/whep/")) {
      server.peers.add(name);
      return reply(201, "v=0", { Location: `${pathname}/${name}.secret` });
    }
    if (method === "POST" && pathname === "/api/leases") {
      server.leases.add(name);
      return reply(201, JSON.stringify({ lease: name, secret: "s", heartbeat_s: 10 }), { Location: `/api/leases/${name}` });
    }
    if (method === "DELETE") {
      const last = pathname.split("/").at(-1).split(".")[0];
      server.peers.delete(last);
      server.leases.delete(last);
      return reply(204);
    }
    if (pathname.endsWith(".jpg")) return reply(404, "{}");
    if (pathname.endsWith("/about")) return json({ oddities: [], round_trip_s: null, loss: null, clock_skew_s: null });
    return json({ events: [], detections: [], processes: [], devices: [], cameras: [], from: null, to: null });
  };

  // ── the connections ──

  const open = new Set();
  globalThis.RTCPeerConnection = class extends EventTarget {
    connectionState = "new";
    iceGatheringState = "complete";
    signalingState = "stable";
    localDescription = { sdp: "v=0" };
    addTransceiver() {}
    getReceivers() {
      return [];
    }
    async setLocalDescription() {
      open.add(this);
    }
    async setRemoteDescription() {
      later(() => {
        if (this.connectionState === "closed") return;
        this.connectionState = "connected";
        this.since = now;
        this.dispatchEvent(new Event("connectionstatechange"));
      }, 50);
    }
    async getStats() {
      const framesDecoded = this.since && server.up ? Math.floor((now - this.since) / 66) : 0;
      const video = { type: "inbound-rtp", kind: "video", timestamp: now, framesDecoded, bytesReceived: framesDecoded * 8000, packetsReceived: framesDecoded * 8, packetsLost: 0 };
      return new Map([["V", video]]);
    }
    close() {
      open.delete(this);
      this.connectionState = this.signalingState = "closed";
    }
  };
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (action) {
    later(() => action(performance.now()), 120);
  };
  HTMLVideoElement.prototype.play = async () => {};

  globalThis.kiosk = {
    pass,
    hour: () => Math.round((now - began) / 3_600_000),
    counts: () => ({
      timers: page.size, nodes: document.getElementsByTagName("*").length, rows: document.querySelectorAll("[data-part=rows] > li").length,
      connections: open.size, peers: server.peers.size, leases: server.leases.size, sockets: server.sockets.size,
    }),
    server,
  };
})();
