// What is remembered of child processes that have ended: as much as the events tell that this page has seen. Pure.
import { t } from "../i18n.js";

export const KEPT = 20;

export const NOBODY = Object.freeze({ alive: new Map(), ended: [] });

// → the memory after more events: `ended` is newest first.
export function remember({ alive, ended }, events) {
  const known = new Map(alive);
  const list = [...ended];
  for (const { type, time, seq, body } of events) {
    if (!type.startsWith("Child")) continue;
    const { child, camera } = body;
    const before = known.get(child) ?? { child, camera, purpose: null, pid: null };
    if (type === "ChildStarting") known.set(child, { ...before, purpose: body.purpose });
    else if (type === "ChildStarted") known.set(child, { ...before, pid: body.pid });
    else if (type === "ChildFound") known.set(child, { ...before, pid: body.pid, purpose: "stray" });
    else if (type === "ChildEnded" || type === "ChildAbandoned") {
      known.delete(child);
      list.unshift({ ...before, seq, time, how: how(type, body), why: body.reason.text, troubled: body.reason.fault !== "none", words: body.stderr_tail ?? [] });
    }
  }
  return { alive: known, ended: list.slice(0, KEPT) };
}

function how(type, { reason, signal, exit_code: code }) {
  if (type === "ChildAbandoned") return t("left behind");
  if (reason.fault === "none") return t("ended as asked");
  if (signal) return t("ended by {signal}", { signal });
  return code === null ? t("did not start") : t("exited with {code}", { code });
}
