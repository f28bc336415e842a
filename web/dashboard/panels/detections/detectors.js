// The detectors of the configuration: whether each works, what it got and found, and why something was not used.
import { $, say, set } from "../../dom.js";
import { lasted } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createPoll } from "../../poll.js";
import { createRows } from "../../rows.js";

const STATES = {
  starting: n("starting"),
  running: n("running"),
  backoff: n("backoff"),
  quarantined: n("quarantined"),
};
const REASONS = {
  "long-line": n("line too long"),
  "no-json": n("not JSON"),
  "wrong-field": n("wrong field"),
  "unknown-camera": n("unknown camera"),
  "wrong-time": n("wrong time"),
  "too-many": n("too many"),
  "large-picture": n("picture too large"),
  "no-picture": n("picture not decoded"),
};

// The figures in one line, and as a title what was not used, by reason. Pure.
export function figures({ state, pictures, detections, dropped, latency_s: latency, reason }) {
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const parts = [
    t(STATES[state] ?? state),
    t("{count} pictures", { count: pictures }),
    t("{count} detections", { count: detections }),
    latency === null ? "" : lasted(latency),
    lost ? t("{count} not used", { count: lost }) : "",
    reason,
  ];
  const why = Object.entries(dropped).map(([name, count]) => `${t(REASONS[name] ?? name)}: ${count}`);
  return { line: parts.filter(Boolean).join(" · "), why: why.join(", ") };
}

export function createDetectors({ base, clock }) {
  const draw = createRows($("detector-rows"), { key: ({ name }) => name, create, fill });
  const poll = createPoll({
    url: () => new URL("api/detectors", base),
    take: ({ detectors = [] }) => draw(detectors),
    fail: () => draw([]), // the note of the view says that there is no answer
    clock,
    tick() {},
  });

  return {
    // Their figures are not kept, so the past has no list.
    inPast: (is) => poll.give(is ? { detectors: [] } : null),
    enter: poll.start,
    leave: poll.stop,
  };
}

function create({ name }) {
  const node = document.createElement("li");
  node.append(Object.assign(document.createElement("b"), { textContent: name }), " ", document.createElement("span"));
  return node;
}

function fill(node, detector) {
  const { line, why } = figures(detector);
  set(node, "data-state", detector.state);
  set(node, "title", why || null);
  say(node.lastElementChild, line);
}
