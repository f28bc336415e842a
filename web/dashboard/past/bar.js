// The bar of time below the header: a slider over the journal, and what moves it.
import { $, mark, on, partsOf, say, set } from "../dom.js";
import { fullTime } from "../format.js";
import { reach, SPEEDS, words } from "./moment.js";
import { t } from "../i18n.js";

const SECOND = 1000;
// Keys that a slider moves by.
const SLIDES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

// `past` has the methods of past.js; it is given later, because each needs the other.
export function createBar({ clock }) {
  const bar = $("past");
  const parts = partsOf(bar);
  const { "past-slider": slider, "past-speed": speed, "past-span": span } = parts;
  let past = null;
  let dragging = false;

  speed.append(...SPEEDS.map((value) => new Option(`${value}×`, value, value === 1, value === 1)));

  // While somebody drags, the slider stays under his finger: its ends and its value are his.
  function draw() {
    const { inPast, moment, aim, note, playing, replay, began } = past.view();
    const at = inPast && moment ? Date.parse(moment.now) : clock.live();
    set(bar, "data-past", inPast ? "yes" : "no");
    say(parts["past-text"], !inPast ? t("Now") : moment ? words(at) : t("Looking back…"));
    set(parts["past-text"], "title", moment ? fullTime(new Date(at)) : null);
    say(parts["past-note"], note);
    set(parts["past-note"], "title", note || null);
    if (!playing && !dragging) say(parts["past-status"], inPast && moment ? `${words(at)}. ${note}` : "");
    mark(parts["past-play-mark"], playing ? "pause" : "play");
    set(parts["past-play"], "aria-label", playing ? t("Pause") : t("Play the past"));
    for (const name of ["past-play", "past-on", "past-failure-on"]) parts[name].disabled = !inPast;
    parts["past-now"].hidden = !inPast || replay;
    document.documentElement.toggleAttribute("data-past", inPast);
    if (!dragging) slide(aim ?? at, { inPast, moment, replay, began });
  }

  function slide(at, { inPast, moment, replay, began }) {
    const first = Date.parse(moment?.first.time ?? began ?? "") || clock.live() - SECOND;
    const last = replay && moment ? Date.parse(moment.last.time) : clock.live();
    const { min, max } = reach({ first, last, span: Number(span.value) || null, at });
    set(slider, "min", Math.floor(min / SECOND) * SECOND);
    set(slider, "max", Math.ceil(max / SECOND) * SECOND);
    slider.value = inPast ? at : slider.max;
    tellValue();
  }

  const atEnd = () => Number(slider.value) >= Number(slider.max) && clock.live() - Number(slider.max) < 2 * SECOND;

  function tellValue() {
    const { min, max, value } = slider;
    slider.style.setProperty("--share", `${((value - min) / (max - min || 1)) * 100}%`);
    set(slider, "aria-valuetext", atEnd() ? t("now") : fullTime(new Date(Number(value))));
  }

  on(slider, "pointerdown", () => (dragging = true));
  on(slider, "input", () => {
    tellValue();
    if (!atEnd()) past.go({ at: Number(slider.value) });
  });
  on(slider, "change", () => {
    if (atEnd()) past.back();
  });
  // After `change`, which the same letting go brings.
  const letGo = () => requestAnimationFrame(() => {
    dragging = false;
    draw();
  });
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
        "past-failure-back": () => past.failure(-1), "past-back": () => past.step(-1), "past-play": past.toggle,
        "past-on": () => past.step(1), "past-failure-on": () => past.failure(1), "past-now": past.back,
      };
      for (const [name, action] of Object.entries(does)) on(parts[name], "click", () => action());
      clock.onTick(() => past.view().inPast || draw());
      draw();
    },
  };
}
