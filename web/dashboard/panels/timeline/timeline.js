// The view of the timeline: the states of the cameras over time, side by side, and their causes. Input is handled in
// input.js. While banken is away, everything ends at its last message.
import { askJson } from "../../ask.js";
import { $, on, say, set } from "../../dom.js";
import { n, t } from "../../i18n.js";
import { createLatest } from "../past/latest.js";
import { NO_DATA } from "./chart.js";
import { createChain } from "./chain.js";
import { attachInput } from "./input.js";
import { arrange } from "./lanes.js";
import { createPainter } from "./paint.js";
import { legend } from "./states.js";
import { createTable } from "./table.js";
import { createTip, tellSpan } from "./tip.js";
import { pan, zoom } from "./view.js";
import { definePanel } from "../../panel.js";
import { JA } from "./timeline.ja.js";

const FIRST_MS = 600_000;
const SETTLE_MS = 250;
const AGAIN_MS = 5000;

// `moment()` → the time that the page displays, or null for now; `bounds()` → the ends of the journal.
export function createTimeline({ base, clock, moment, bounds, reveal }) {
  const canvas = $("timeline-canvas");
  const note = $("timeline-note");
  const paint = createPainter(canvas);
  const tip = createTip();
  const chain = createChain({ base, reveal });
  const table = createTable();
  const latest = createLatest((wanted) =>
    load(wanted).catch((error) => say(note, t("It could not be read: {reason}", { reason: error.message }))),
  );
  const open = new Set();
  let view = null;
  let data = { lanes: [], marks: [], gaps: [] };
  let laid = arrange(data, open);
  let chosen = null; // {lane, span}
  let heard = null; // the time of banken's last message, while it is away
  let follows = true;
  let entered = false;
  let timer = null;
  let frame = null;
  let width = 0;

  const left = () => (width < 480 ? 92 : 136);
  const inner = () => Math.max(1, width - left());

  // Loads more than is in view, so that panning does not reveal an empty edge at once.
  async function load({ from, to }) {
    const around = (to - from) / 2;
    const reach = bounds();
    const asked = [Math.max(reach.from, from - around), Math.min(reach.to, to + around)].map((time) =>
      new Date(time).toISOString(),
    );
    const body = await askJson(new URL(`api/timeline?from=${asked[0]}&to=${asked[1]}`, base));
    if (!entered) return;
    take({ ...body, edge: asked[1] === new Date(reach.to).toISOString() ? body.to - 1 : Infinity });
    say(note, body.lanes.length ? "" : t("No data in this stretch."));
  }

  function take(body) {
    data = body;
    lay();
    tell();
  }

  function lay() {
    laid = arrange({ ...data, last: clock.lastWord() ?? Infinity }, open);
    draw();
  }

  function tell() {
    const states = legend(laid.rows.map(({ lane }) => lane)).map(([name, colour, pattern]) =>
      key(t(name), pattern, colour),
    );
    $("timeline-legend").replaceChildren(...states, ...(gaps().length ? [key(t(NO_DATA), "hatch")] : []));
    table.give({ ...data, gaps: gaps() }, view);
  }

  // Where nothing is known: no daemon ran, or banken is away since then.
  function gaps() {
    const last = clock.lastWord();
    return last === null ? data.gaps : [...data.gaps, { begin: last, end: Math.max(last, clock.live()), text: "" }];
  }

  function draw() {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      if (!entered || !view || !width) return;
      const height = laid.height + 6;
      canvas.style.height = `${height}px`;
      paint({ laid, gaps: gaps(), view, width, height, left: left(), cursor: moment(), chosen });
    });
  }

  // Loads the visible range once the view has come to rest.
  function settle(milliseconds = SETTLE_MS) {
    clearTimeout(timer);
    timer = entered ? setTimeout(ask, milliseconds) : null;
  }

  function ask() {
    latest.ask(view);
    if (follows && moment() === null) settle(AGAIN_MS);
  }

  function move(next) {
    view = next;
    follows = view.to >= bounds().to - 2000;
    tip.hide();
    draw();
    settle();
  }

  // With each tick: the right edge follows the time, or the view moves to the moment that the page displays.
  function tick() {
    if (!entered || !view) return;
    const at = moment();
    const reach = bounds();
    // A journal that is still short is displayed in full, as it grows.
    const grows = view.from <= reach.from && reach.to - view.from < FIRST_MS;
    if (at === null && follows)
      view = { from: Math.max(reach.from, grows ? view.from : view.from + reach.to - view.to), to: reach.to };
    if (at !== null && (at < view.from || at > view.to)) move(pan(view, at - (view.from + view.to) / 2, reach));
    draw();
  }

  const self = {
    place: () => ({ laid, view, width, left: left(), inner: inner(), chosen }),
    zoomBy: (factor, at) => move(zoom(view, factor, at ?? (follows ? view.to : (view.from + view.to) / 2), bounds())),
    panBy: (milliseconds, from = view) => move(pan(from, milliseconds, bounds())),
    toggle(row) {
      if (!row?.inner) return;
      if (!open.delete(row.lane.name)) open.add(row.lane.name);
      lay();
      tell();
    },
    choose(row, span) {
      if (span && (span.begin > view.to || span.end < view.from))
        move(pan(view, span.begin - (view.from + view.to) / 2, bounds()));
      chosen = row && { lane: row.lane, span };
      draw();
      if (!span) return tip.hide();
      const x = ((Math.max(span.begin, view.from) - view.from) / (view.to - view.from)) * inner() + left();
      tip.show(x, row.y + row.height, tellSpan(row.lane, span), { width, spoken: true });
    },
    explain: (seq) => seq && chain.show(seq),
    tip,
  };

  attachInput(canvas, self);
  on($("timeline-in"), "click", () => self.zoomBy(0.6));
  on($("timeline-out"), "click", () => self.zoomBy(1 / 0.6));
  on($("timeline-all"), "click", () => move(bounds()));
  on($("timeline-table"), "toggle", tell);
  clock.onTick(tick);
  clock.onSilence(() => {
    if (heard === clock.lastWord()) return; // only the past was entered, or left
    heard = clock.lastWord();
    lay();
    if (entered) tell();
  });
  new ResizeObserver(([{ contentRect }]) => {
    if (width !== contentRect.width) tip.hide();
    width = contentRect.width;
    draw();
  }).observe(canvas.parentElement);

  return {
    events: () => entered && follows && moment() === null && settle(),
    enter() {
      entered = true;
      const { from, to } = bounds();
      const at = moment();
      const end = at === null ? to : Math.min(to, at + FIRST_MS / 2);
      view ??= { from: Math.max(from, end - FIRST_MS), to: Math.max(end, from + 1000) };
      tell();
      tick();
      ask();
    },
    leave() {
      entered = false;
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      frame = null;
      latest.drop();
      tip.hide();
    },
  };
}

function key(text, pattern, colour = "--idle") {
  const item = document.createElement("li");
  const swatch = Object.assign(document.createElement("i"), { ariaHidden: "true" });
  swatch.style.setProperty("--colour", `var(${colour})`);
  set(swatch, "data-pattern", pattern);
  item.append(swatch, text);
  return item;
}

export const panel = definePanel({
  id: "timeline",
  needs: "read",
  title: n("Timeline"),
  past: false,
  words: JA,
  shortcuts: [{ keys: ["t"], says: n("timeline") }],
  mount: (_root, { base, clock, panels }) =>
    createTimeline({
      base,
      clock,
      moment: () => panels.past.moment(),
      bounds: () => panels.past.bounds(),
      reveal: (seq) => panels.journal.reveal(seq),
    }),
});
