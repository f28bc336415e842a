// Now, or a moment of the past. Rules of this file:
// 1. The panels do not know which: they receive messages, from the one WebSocket or from /api/state.
// 2. While the past is displayed, messages about the present are held back, and displayed on return.
// 3. Until the requested moment has arrived, the display stays; where none arrives, a note gives the reason. A page
//    that is opened in the past displays no present first, which would ask for snapshots and connections.
// 4. At most one moment is requested at a time, and a timer runs only during playback. Steps in the meantime add up.
// 5. For a moment at which no daemon ran, no state is displayed.
// 6. The address names the displayed moment; where it named another, a note gives the reason.
import { may } from "../../access.js";
import { read, write } from "../../address.js";
import { askJson, Silence } from "../../ask.js";
import { on } from "../../dom.js";
import { createBar } from "./bar.js";
import { createLatest } from "./latest.js";
import { added, advance, formatMoment, parseMoment, queryOf } from "./moment.js";
import { unknownOf } from "./view.js";
import { sentence } from "../wall/overlay.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./past.ja.js";

const ROWS = 200;
const KEPT = 500;
const BEAT_MS = 200;
const TIMEOUT_MS = 15_000;

// `show`: {enter(), leave(), events(list), reset(), state(message)} are the panels; `onChange()` draws the bar.
export function createPast({ base, clock, show, onChange }) {
  /** @type {{hello: any, events: any[], state: any}} */
  const now = { hello: null, events: [], state: null };
  const latest = createLatest(
    (wish) =>
      load(wish).catch((error) =>
        fail(t("It could not be read: {reason}", { reason: error.message }), error instanceof Silence),
      ),
    added,
  );
  let inPast = false; // requested, or displayed
  let opened = false; // whether any state was displayed
  let moment = null; // the displayed one; null while the present is displayed
  let atEvent = false; // whether it was requested by the number of its event
  let shown = null; // the last event that the journal pane displays
  let aim = null; // the requested time
  let note = "";
  let noteLang = null; // the language of a note from the journal
  let passes = false; // whether the note goes away when banken answers again
  let address = null; // of the displayed moment
  let speed = 1;
  let playing = null; // {timer, head, since}

  const replay = () => Boolean(now.hello?.replay);
  const lastSeq = () => now.events.at(-1)?.seq ?? now.hello?.last ?? 0;

  // No moment arrived: the display stays.
  function fail(text, silent = false) {
    if (moment !== null) write({ at: address });
    else {
      leave();
      if (!opened) present();
    }
    aim = null;
    remark(text);
    passes = silent;
    onChange();
  }

  /** @param {string} text @param {string | null} lang */
  function remark(text, lang = null) {
    note = text;
    noteLang = lang;
    passes = false;
  }

  function place(at) {
    address = formatMoment(at);
    write({ at: address });
  }

  function leave() {
    inPast = false;
    aim = null;
    if (!replay()) write({ at: null });
  }

  // `wish`: {seq} or {at}, or {find: "event" | "failure", by} for the next of its kind, or for the one `by` steps away.
  function go(wish) {
    if (!inPast && wish.by > 0) return;
    if (!wish.plays) pause();
    aim = wish.at ?? null;
    if (!inPast) remark("");
    inPast = true;
    latest.ask(wish);
    onChange();
  }

  async function load(wish) {
    const wanted = wish.find ? await find(wish) : wish;
    if (!inPast || wanted === null) return;
    const message = await get(`api/state?${queryOf(wanted)}`);
    const on = shown !== null && shown <= message.seq && message.seq - shown <= ROWS;
    const more = on ? `after=${shown}&limit=${ROWS + 1}` : `limit=${ROWS}`;
    const { events } =
      shown === message.seq ? { events: [] } : await get(`api/events?before=${message.seq + 1}&${more}`);
    if (!inPast) return;
    if (moment === null) show.enter();
    moment = message;
    atEvent = wanted.at === undefined;
    if (aim === wanted.at) aim = null;
    clock.hold(Date.parse(message.now));
    if (!on) show.reset();
    show.events(events);
    shown = message.seq;
    remark(noteOf(message, atEvent), "en");
    opened = true;
    show.state(message.unknown ? unknownOf(message) : message);
    if (playing === null) place(wanted.at === undefined ? { seq: message.seq } : { at: Date.parse(message.now) });
    onChange();
  }

  // For a time without a daemon: why nothing is known; for an event of such a time: the event, too.
  function noteOf({ seq, event, unknown }, named) {
    const happened = `#${seq} ${event.text}`;
    if (!unknown) return happened;
    return named ? `${happened}. ${sentence(unknown.text)}` : sentence(unknown.text);
  }

  async function find({ find: kind, by }) {
    // Where no daemon ran, the last event lies before the displayed time, not at it.
    const passed = by < 0 && moment?.unknown && !atEvent ? 1 : 0;
    const from = moment ? moment.seq + passed : lastSeq() + 1;
    const seq = kind === "failure" ? await failureOf(from, by) : await eventOf(from, by);
    if (seq !== null) return { seq };
    const before = kind === "failure" ? t("There is no failure before this.") : t("There is no event before this.");
    const after = kind === "failure" ? t("There is no failure after this.") : t("There is no event after this.");
    fail(by < 0 ? before : after);
    return null;
  }

  // The sequence number of the event or failure `by` steps away, or of the farthest one if there are fewer.
  // Null without any.
  async function eventOf(from, by) {
    const { events } = await get(`api/events?${side(from, by)}&limit=${Math.abs(by)}`);
    return events.at(by < 0 ? 0 : -1)?.seq ?? null;
  }

  async function failureOf(from, by) {
    let found = null;
    for (let step = 0; step < Math.abs(by) && inPast; step += 1) {
      const { event } = await get(`api/failures?${side(found ?? from, by)}`);
      if (!event) break;
      found = event.seq;
    }
    return found;
  }

  const side = (from, by) => (by < 0 ? `before=${from}` : `after=${from}`);

  const get = (path) => askJson(new URL(path, base), { timeout: TIMEOUT_MS });

  function back() {
    if (!inPast || replay()) return false;
    pause();
    latest.drop();
    leave();
    remark("");
    if (moment) returnToNow();
    else if (!opened) present();
    onChange();
    return true;
  }

  function returnToNow() {
    moment = shown = null;
    clock.release();
    show.reset();
    show.leave();
    show.events(now.events);
    present();
  }

  function present() {
    if (!now.state) return;
    opened = true;
    show.state(now.state);
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
    if (moment) place({ at: Date.parse(moment.now) });
    onChange();
  }

  function route() {
    if (!may("read")) return;
    const { at } = read();
    const wish = parseMoment(at);
    if (wish) go(wish);
    else if (at !== null) fail(t("“{text}” is neither the number of an event nor a time.", { text: at }));
    else if (inPast) back();
  }

  on(window, "hashchange", route);

  return {
    go,
    back,
    step: (by) => go({ find: "event", by }),
    failure: (by) => go({ find: "failure", by }),
    toggle: () => (playing ? pause() : play()),
    // Something else in the address cannot be displayed.
    complain(text) {
      remark(text);
      onChange();
    },
    // `bounds`: the ends of the journal. `moment`: the displayed moment; null for now.
    bounds() {
      const to = replay() && moment ? Date.parse(moment.last.time) + 1 : clock.live();
      const from = Date.parse(moment?.first.time ?? now.hello?.began ?? "") || to - 3_600_000;
      return { from: Math.min(from, to - 1000), to };
    },
    moment: () => moment && Date.parse(moment.now),
    setSpeed: (value) => (speed = value),
    view: () => ({
      inPast,
      moment,
      aim,
      note,
      noteLang,
      speed,
      playing: playing !== null,
      replay: replay(),
      began: now.hello?.began ?? null,
    }),
    // Messages of the WebSocket: displayed, or kept until the user returns to the present.
    hello(message) {
      now.hello = message;
      if (!inPast && passes) remark("");
      if (message.replay && !inPast) go({ at: Date.parse(message.replay) });
      onChange();
    },
    events(list) {
      now.events = now.events.concat(list).slice(-KEPT);
      if (!moment) show.events(list);
    },
    reset() {
      now.events = [];
      if (!moment) show.reset();
    },
    state(message) {
      now.state = message;
      if (!moment && (opened || !inPast)) present();
    },
    start: () => read().at !== null && !inPast && route(),
    stop: pause,
  };
}

export const panel = definePanel({
  id: "past",
  title: n("Time"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [
    { keys: ["["], needs: "read", says: n("the previous event"), run: (past) => past.step(-1) },
    { keys: ["]"], needs: "read", says: n("the next event"), run: (past) => past.step(1) },
    { keys: ["{"], needs: "read", says: n("the previous failure"), run: (past) => past.failure(-1) },
    { keys: ["}"], needs: "read", says: n("the next failure"), run: (past) => past.failure(1) },
    { keys: ["n"], needs: "read", says: n("back to now"), run: (past) => past.back() },
  ],
  mount(root, { base, clock, tell, show }) {
    const bar = createBar({ bar: root, clock });
    const panels = {
      enter: () => tell("inPast", true),
      leave: () => tell("inPast", false),
      events: (list) => show("events", list),
      reset: () => show("reset"),
      state: (message) => show("state", message),
    };
    const past = createPast({ base, clock, show: panels, onChange: bar.draw });
    bar.attach(past);
    return past;
  },
});
