// The text beside the pointer or the chosen span: its state, and its cause.
import { $, say } from "../../dom.js";
import { ago, clockTime } from "../../format.js";
import { n, t } from "../../i18n.js";

const WIDE = 320;
const WHAT = { child: n("child of {camera}"), peer: n("viewer of {camera}") };

// Pure. → {title, text}
export const tellSpan = ({ kind, name, camera }, { state, begin, end, text }) => ({
  title: `${kind === "camera" ? name : t(WHAT[kind], { camera })}: ${t(state)}`,
  text: t("from {time} for {length}: {text}", {
    time: clockTime(new Date(begin), { milliseconds: true }),
    length: lasting(end - begin),
    text,
  }),
});

const lasting = (milliseconds) =>
  milliseconds < 10_000 ? t("{seconds} s", { seconds: (milliseconds / 1000).toFixed(1) }) : ago(milliseconds);

export const tellMark = ({ kind, severity, at, text }) => ({
  title: severity === "info" || severity === "notice" ? kind : `${kind} (${t(severity)})`,
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
