// Now, or a moment of the past. Rules of this file:
// 1. The panels never know which: they are shown messages, from the one WebSocket or from /api/state.
// 2. While the past is shown, what happens now is kept back, and shown on return.
// 3. At most one moment is asked for at a time, and no timer runs but while it plays.
import { read, write } from "../address.js";
import { askJson } from "../ask.js";
import { on } from "../dom.js";
import { createLatest } from "./latest.js";
import { advance, formatMoment, parseMoment, queryOf } from "./moment.js";
import { t } from "../i18n.js";

const ROWS = 200;
const KEPT = 500;
const BEAT_MS = 200;
const TIMEOUT_MS = 15_000;

// `show`: {enter(), leave(), events(list), reset(), state(message)} are the panels; `onChange()` draws the bar.
export function createPast({ base, clock, show, onChange }) {
  const now = { hello: null, events: [], state: null };
  const latest = createLatest((wish) => load(wish).catch((error) => tell(t("It could not be read: {reason}", { reason: error.message }))));
  let inPast = false;
  let moment = null;
  let shown = null; // the last event that the journal pane shows
  let aim = null; // the time that is asked for
  let note = "";
  let speed = 1;
  let playing = null; // {timer, head, since}

  const replay = () => Boolean(now.hello?.replay);
  const lastSeq = () => now.events.at(-1)?.seq ?? now.hello?.last ?? 0;

  function tell(text) {
    note = text;
    onChange();
  }

  // `wish`: {seq} or {at}, or {find: "event" | "failure", by: 1 | -1} for the next of its kind.
  function go(wish) {
    if (!inPast && wish.by === 1) return;
    if (!wish.plays) pause();
    aim = wish.at ?? null;
    if (!inPast) {
      inPast = true;
      show.enter();
    }
    latest.ask(wish);
    onChange();
  }

  async function load(wish) {
    const place = wish.find ? await find(wish) : wish;
    if (!inPast || place === null) return inPast && moment === null ? back() : undefined;
    const message = await get(`api/state?${queryOf(place)}`);
    const on = shown !== null && shown <= message.seq && message.seq - shown <= ROWS;
    const wanted = on ? `after=${shown}&limit=${ROWS + 1}` : `limit=${ROWS}`;
    const { events } = shown === message.seq ? { events: [] } : await get(`api/events?before=${message.seq + 1}&${wanted}`);
    if (!inPast) return;
    moment = message;
    if (aim === place.at) aim = null;
    clock.hold(Date.parse(message.now));
    if (!on) show.reset();
    show.events(events);
    shown = message.seq;
    show.state(message);
    note = `#${message.seq} ${message.event.text}`;
    if (playing === null) write({ at: formatMoment(place.at === undefined ? { seq: message.seq } : { at: Date.parse(message.now) }) });
    onChange();
  }

  async function find({ find: kind, by }) {
    const from = moment?.seq ?? lastSeq() + 1;
    const side = by < 0 ? `before=${from}` : `after=${from}`;
    const answer = await get(kind === "failure" ? `api/failures?${side}` : `api/events?${side}&limit=1`);
    const event = kind === "failure" ? answer.event : answer.events[0];
    if (event) return { seq: event.seq };
    const before = kind === "failure" ? t("There is no failure before this.") : t("There is no event before this.");
    const after = kind === "failure" ? t("There is no failure after this.") : t("There is no event after this.");
    tell(by < 0 ? before : after);
    return null;
  }

  const get = (path) => askJson(new URL(path, base), { timeout: TIMEOUT_MS });

  function back() {
    if (!inPast || replay()) return false;
    pause();
    latest.drop();
    inPast = false;
    moment = shown = aim = null;
    note = "";
    clock.release();
    write({ at: null });
    show.reset();
    show.leave();
    show.events(now.events);
    if (now.state) show.state(now.state);
    onChange();
    return true;
  }

  function play() {
    if (playing || !moment) return;
    playing = { head: Date.parse(moment.now), since: performance.now(), timer: setTimeout(beat, BEAT_MS) };
    onChange();
  }

  function beat() {
    const elapsed = performance.now() - playing.since;
    const last = replay() ? Date.parse(moment.last.time) : clock.live();
    const { at, ended } = advance(playing.head, speed, elapsed, last);
    playing = { head: at, since: performance.now(), timer: setTimeout(beat, BEAT_MS) };
    if (ended && !replay()) return back();
    if (!latest.busy()) go({ at, plays: true });
    if (ended) pause();
  }

  function pause() {
    if (!playing) return;
    clearTimeout(playing.timer);
    playing = null;
    if (moment) write({ at: formatMoment({ at: Date.parse(moment.now) }) });
    onChange();
  }

  function route() {
    const { at } = read();
    const wish = parseMoment(at);
    if (wish) go(wish);
    else if (at === null && inPast) back();
  }

  on(window, "hashchange", route);

  return {
    go,
    back,
    step: (by) => go({ find: "event", by }),
    failure: (by) => go({ find: "failure", by }),
    toggle: () => (playing ? pause() : play()),
    // The ends of the journal, and the moment that is shown; null for now.
    bounds() {
      const to = replay() && moment ? Date.parse(moment.last.time) + 1 : clock.live();
      const from = Date.parse(moment?.first.time ?? now.hello?.began ?? "") || to - 3_600_000;
      return { from: Math.min(from, to - 1000), to };
    },
    moment: () => (inPast && moment ? Date.parse(moment.now) : null),
    setSpeed: (value) => (speed = value),
    view: () => ({ inPast, moment, aim, note, speed, playing: playing !== null, replay: replay(), began: now.hello?.began ?? null }),
    // What the WebSocket says: shown, or kept until somebody returns to it.
    hello(message) {
      now.hello = message;
      if (message.replay && !inPast) go({ at: Date.parse(message.replay) });
      onChange();
    },
    events(list) {
      now.events = now.events.concat(list).slice(-KEPT);
      if (!inPast) show.events(list);
    },
    reset() {
      now.events = [];
      if (!inPast) show.reset();
    },
    state(message) {
      now.state = message;
      if (!inPast) show.state(message);
    },
    start: () => read().at !== null && !inPast && route(),
    stop: pause,
  };
}
