// The time bar below the header: a slider over the journal, and its controls. Rules of this file:
// 1. No text in the bar changes the position or the width of the slider: the user may be dragging it.
// 2. During a drag, the user determines the slider's ends and value; a drag to the end of the journal returns to now.
import { mark, on, partsOf, say, set } from "../../dom.js";
import { fullTime } from "../../format.js";
import { reach, SPEEDS, words } from "./moment.js";
import { t } from "../../i18n.js";

const SECOND = 1000;
// Keys that move a slider.
const SLIDES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

// `past` has the methods of past.js; it is set later, because each needs the other.
export function createBar({ bar, clock }) {
  const parts = partsOf(bar);
  const { "past-slider": slider, "past-speed": speed, "past-span": span } = parts;
  let past = null;
  let dragging = false;
  let lettingGo = 0; // the frame in which the drag ends
  /** @type {any} */
  let reached = null; // see `reach`
  let ends = true; // whether its right end is now

  speed.append(...SPEEDS.map((value) => new Option(`${value}×`, String(value), value === 1, value === 1)));

  function draw() {
    const { inPast, moment, aim, note, noteLang, playing, replay, began } = past.view();
    const at = moment ? Date.parse(moment.now) : clock.live();
    set(bar, "data-past", moment ? "yes" : "no");
    say(parts["past-text"], moment ? words(at) : inPast ? t("Loading the past…") : t("Now"));
    set(parts["past-text"], "title", moment ? fullTime(new Date(at)) : null);
    say(parts["past-note"], note);
    set(parts["past-note"], "title", note || null);
    set(parts["past-note"], "lang", noteLang);
    if (!playing && !dragging) say(parts["past-status"], moment ? `${words(at)}. ${note}` : note);
    mark(parts["past-play-mark"], playing ? "pause" : "play");
    set(parts["past-play"], "aria-label", playing ? t("Pause") : t("Play the past"));
    for (const name of ["past-play", "past-on", "past-failure-on"]) parts[name].disabled = !moment;
    parts["past-now"].hidden = replay;
    parts["past-now"].disabled = !inPast;
    document.documentElement.toggleAttribute("data-past", moment !== null);
    if (!dragging) slide(aim ?? at, { inPast, moment, replay, began });
  }

  function slide(at, { inPast, moment, replay, began }) {
    const first = Date.parse(moment?.first.time ?? began ?? "") || clock.live() - SECOND;
    const last = replay && moment ? Date.parse(moment.last.time) : clock.live();
    reached = reach({ first, last, span: Number(span.value) || null, at, held: reached });
    set(slider, "min", Math.floor(reached.min / SECOND) * SECOND);
    set(slider, "max", Math.ceil(reached.max / SECOND) * SECOND);
    slider.value = inPast ? at : slider.max;
    ends = !replay && reached.toEnd;
    tellValue();
  }

  // Whether the slider is at now.
  const atEnd = () => ends && Number(slider.value) >= Number(slider.max);

  function tellValue() {
    const { min, max, value } = slider;
    slider.style.setProperty("--share", `${((value - min) / (max - min || 1)) * 100}%`);
    set(slider, "aria-valuetext", atEnd() ? t("now") : fullTime(new Date(Number(value))));
  }

  on(slider, "pointerdown", () => {
    cancelAnimationFrame(lettingGo);
    dragging = true;
  });
  on(slider, "input", () => {
    tellValue();
    // The slider's ends are whole seconds, which may lie beyond the journal.
    if (!atEnd()) past.go({ at: Math.min(reached.max, Math.max(reached.min, Number(slider.value))) });
  });
  on(slider, "change", () => {
    if (atEnd()) past.back();
  });
  // Runs after the `change` of the same release, unless a new drag begins before that.
  const letGo = () => {
    lettingGo = requestAnimationFrame(() => {
      dragging = false;
      draw();
    });
  };
  for (const name of ["pointerup", "pointercancel", "blur"]) on(slider, name, letGo);
  on(bar, "keydown", (event) => {
    if (event.target !== slider) return;
    if (SLIDES.has(event.key)) event.stopPropagation();
    else if (event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      past.toggle();
    }
  });
  on(speed, "change", () => past.setSpeed(Number(speed.value)));
  on(span, "change", draw);

  return {
    draw,
    attach(made) {
      past = made;
      const does = {
        "past-failure-back": () => past.failure(-1),
        "past-back": () => past.step(-1),
        "past-play": past.toggle,
        "past-on": () => past.step(1),
        "past-failure-on": () => past.failure(1),
        "past-now": past.back,
      };
      for (const [name, action] of Object.entries(does)) on(parts[name], "click", () => action());
      clock.onTick(() => past.view().inPast || draw());
      draw();
    },
  };
}
