// What stands beside the pointer, or the chosen span: what it is and what led to it.
import { $, say } from "../dom.js";
import { ago, clockTime } from "../format.js";

const WIDE = 320;
const WHAT = { child: "child of", peer: "viewer of" };

// Pure; → {title, text}
export const tellSpan = ({ kind, name, camera }, { state, begin, end, text }) => ({
  title: `${kind === "camera" ? name : `${WHAT[kind]} ${camera}`}: ${state}`,
  text: `from ${clockTime(new Date(begin), { milliseconds: true })} for ${end - begin < 10_000 ? `${((end - begin) / 1000).toFixed(1)} s` : ago(end - begin)}: ${text}`,
});

export const tellMark = ({ kind, severity, at, text }) => ({
  title: severity === "info" || severity === "notice" ? kind : `${kind} (${severity})`,
  text: `${clockTime(new Date(at), { milliseconds: true })}: ${text}`,
});

export function createTip() {
  const tip = $("timeline-tip");
  return {
    show(x, y, { title, text }, { width, spoken = false }) {
      say($("timeline-tip-title"), title);
      say($("timeline-tip-text"), text);
      tip.style.translate = `${Math.max(4, Math.min(x, width - WIDE - 8))}px ${y}px`;
      tip.hidden = false;
      if (spoken) say($("timeline-status"), `${title}, ${text}`);
    },
    hide: () => (tip.hidden = true),
  };
}
