// Pointer, wheel and keys on the timeline's canvas.
import { on, set } from "../../dom.js";
import { hit } from "./lanes.js";
import { nameOf } from "./table.js";
import { tellMark, tellSpan } from "./tip.js";
import { timeAt } from "./view.js";

const CLICK_PX = 4;
const NEARER = 0.6;

// `timeline` has place(), zoomBy, panBy, toggle, choose, explain and tip.
export function attachInput(canvas, timeline) {
  const { place, zoomBy, panBy, toggle, choose, explain, tip } = timeline;
  let drag = null;

  function find(event) {
    const { laid, view, left, inner } = place();
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return { x, y, at: timeAt(view, inner, x - left), onName: x < left, ...hit(laid, view, inner, x - left, y) };
  }

  const rowOfChosen = () => {
    const { laid, chosen } = place();
    return laid.rows.find(({ lane }) => lane.kind === chosen?.lane.kind && lane.name === chosen.lane.name);
  };

  function indexOfChosen(spans) {
    const { chosen } = place();
    return spans.findIndex(
      ({ seq, begin }) => chosen?.span && seq === chosen.span.seq && (seq !== null || begin === chosen.span.begin),
    );
  }

  // The previous or next span of the lane; without a chosen span, the newest.
  function step(by) {
    const row = rowOfChosen() ?? place().laid.rows[0];
    if (!row) return;
    const { spans } = row.lane;
    const index = indexOfChosen(spans);
    choose(row, spans[index < 0 ? spans.length - 1 : Math.max(0, Math.min(spans.length - 1, index + by))]);
  }

  // The neighbouring lane, at the same time.
  function climb(by) {
    const { laid, view, chosen } = place();
    const index = laid.rows.indexOf(rowOfChosen());
    const row = laid.rows[Math.max(0, Math.min(laid.rows.length - 1, index + by))];
    if (!row) return;
    const at = chosen?.span ? Math.max(chosen.span.begin, view.from) : view.to;
    choose(row, row.lane.spans.find((span) => span.end > at) ?? row.lane.spans.at(-1));
  }

  const span = () => place().view.to - place().view.from;
  const KEYS = {
    ArrowLeft: () => panBy(-0.1 * span()),
    ArrowRight: () => panBy(0.1 * span()),
    ArrowUp: () => climb(-1),
    ArrowDown: () => climb(1),
    "+": () => zoomBy(NEARER),
    "=": () => zoomBy(NEARER),
    "-": () => zoomBy(1 / NEARER),
    ",": () => step(-1),
    ".": () => step(1),
    Enter: () => explain(place().chosen?.span?.seq),
    " ": () => toggle(rowOfChosen()),
  };

  on(canvas, "keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    KEYS[event.key]();
  });

  on(
    canvas,
    "wheel",
    (event) => {
      event.preventDefault();
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.shiftKey || Math.abs(sideways) > Math.abs(event.deltaY)) panBy((sideways / place().inner) * span());
      else zoomBy(1.0015 ** event.deltaY, find(event).at);
    },
    { passive: false },
  );

  on(canvas, "pointerdown", (event) => {
    drag = { x: event.clientX, view: place().view, far: 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  on(canvas, "pointermove", (event) => {
    if (!drag) return hover(event);
    const by = drag.x - event.clientX;
    drag.far = Math.max(drag.far, Math.abs(by));
    if (drag.far > CLICK_PX) panBy((by / place().inner) * span(), drag.view);
  });
  on(canvas, "pointerup", (event) => {
    const clicked = drag && drag.far <= CLICK_PX;
    drag = null;
    if (!clicked) return;
    const { row, span: under, mark, onName } = find(event);
    if (onName) return toggle(row);
    choose(row, under);
    explain(mark?.seq ?? under?.seq);
  });
  on(canvas, "pointercancel", () => (drag = null));
  on(canvas, "pointerleave", tip.hide);
  on(canvas, "blur", tip.hide);

  function hover(event) {
    const { row, span: under, mark, x, y, onName } = find(event);
    canvas.dataset.over = onName ? (row?.inner ? "name" : "") : under || mark ? "span" : "";
    set(canvas, "title", onName && row ? nameOf(row.lane) : null); // the label may be shortened
    if (onName || !(under || mark)) tip.hide();
    else tip.show(x, y + 14, mark ? tellMark(mark) : tellSpan(row.lane, under), { width: place().width });
  }
}
