// Runs in a page before its scripts: answers for leases, detections and the suggestions in place of the daemon, and
// passes on every other request. `pretend` is the interface for a test.
(() => {
  const pretend = (globalThis.pretend = { suggestions: [], detections: [], leases: new Map(), log: [], states: 0, refuse: null, ended: null });
  let number = 0;

  pretend.suggest = (camera, seconds, label = "person", most = 1) => {
    const now = Date.now();
    const lease = `S${(number += 1)}`;
    const times = { since: new Date(now).toISOString(), until: new Date(now + seconds * 1000).toISOString(), remaining_s: seconds };
    const one = { lease, camera, label, score: 0.87, detection: `D${number}`, time: times.since, by: "test", box: null, image: null, ...times };
    pretend.suggestions = [one, ...pretend.suggestions].slice(0, most);
    return lease;
  };

  const reply = (status, body, headers = {}) =>
    new Response(status === 204 ? null : JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
  const problem = (status, detail, more = {}) => reply(status, { type: "urn:banken:problem:pretended", detail, ...more }, more.headers);

  const routes = {
    "POST /api/leases": (request) => {
      if (pretend.refuse) return problem(pretend.refuse.status, pretend.refuse.detail, pretend.refuse);
      const lease = `L${(number += 1)}`;
      pretend.leases.set(lease, { lease, ...request, client: "127.0.0.1", purpose: null, since: new Date().toISOString(), peers: [] });
      return reply(201, { lease, secret: `secret-${lease}`, heartbeat_s: 0.5, ttl_s: 30 }, { Location: `/api/leases/${lease}` });
    },
    "PUT /api/leases/": (request, id) => {
      if (!pretend.leases.has(id)) return problem(404, "it is over", { reason: pretend.ended ?? { code: "expired", text: "nobody renewed it" } });
      return reply(200, pretend.leases.get(id));
    },
    "DELETE /api/leases/": (request, id) => (pretend.leases.delete(id), reply(204)),
    "GET /api/detections": (request, rest, query) => {
      const [camera, label] = [query.get("camera"), query.get("label")];
      const list = pretend.detections.filter((each) => (!camera || each.camera === camera) && (!label || each.label === label));
      return reply(200, { detections: list.slice(0, Number(query.get("limit"))) });
    },
  };

  const fetched = globalThis.fetch;
  globalThis.fetch = async (input, options = {}) => {
    const { pathname, searchParams } = new URL(input, location.href);
    const asked = `${options.method ?? "GET"} ${pathname}`;
    const [name, answer] = Object.entries(routes).find(([route]) => (route.endsWith("/") ? asked.startsWith(route) : asked === route)) ?? [];
    // The daemon does not know a simulated lease.
    const { "Banken-Lease": lease, ...headers } = options.headers ?? {};
    if (!answer) return fetched(input, { ...options, headers });
    pretend.log.push(asked);
    return answer(options.body ? JSON.parse(options.body) : null, asked.slice(name.length), searchParams);
  };

  const Stock = globalThis.WebSocket;
  globalThis.WebSocket = class WebSocket extends Stock {
    set onmessage(handler) {
      super.onmessage = handler && ((event) => handler({ data: told(event.data) }));
    }
  };

  function told(data) {
    const message = JSON.parse(data);
    if (message.type !== "state" && message.type !== "changes") return data;
    pretend.states += 1;
    const suggestions = pretend.suggestions.filter(({ until }) => Date.parse(until) > Date.now());
    if (message.type === "changes" || message.summary) message.summary = { daemon: { ...message.summary?.daemon, suggestions } };
    if (message.type === "changes" || message.leases) message.leases = leases(message.type === "state");
    return JSON.stringify(message);
  }

  // All leases, or changes: ended leases are null.
  function leases(whole) {
    const expires = new Date(Date.now() + 30_000).toISOString();
    const gone = whole ? [] : Array.from({ length: number }, (_, index) => [`L${index + 1}`, null]);
    return Object.fromEntries([...gone, ...[...pretend.leases].map(([id, lease]) => [id, { ...lease, expires }])]);
  }
})();
