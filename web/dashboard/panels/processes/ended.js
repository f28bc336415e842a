// A memory of ended child processes, limited to the events that this page has received. Pure.
import { about } from "../../events.js";
import { t } from "../../i18n.js";

export const KEPT = 20;

/** @type {{alive: Map<string, any>, ended: any[]}} */
export const NOBODY = Object.freeze({ alive: new Map(), ended: [] });

// → the memory after more events: `ended` is newest first.
export function remember({ alive, ended }, events) {
  const known = new Map(alive);
  const list = [...ended];
  for (const { type, time, seq, body } of events) {
    const { entity, begins = false, last = false } = about(type);
    if (entity !== "child") continue;
    const { child, camera } = body;
    const before = known.get(child) ?? { child, camera, purpose: null, pid: null };
    // In older journals only the first event has a purpose. One that begins without it was found, and not started.
    const purpose = body.purpose || (begins ? "stray" : before.purpose);
    if (!last) {
      const { pid = before.pid } = body;
      known.set(child, { ...before, pid, purpose });
    } else {
      known.delete(child);
      list.unshift({
        ...before,
        purpose,
        seq,
        time,
        how: how(body),
        why: body.reason.text,
        troubled: body.reason.fault !== "none",
        words: body.stderr_tail ?? [],
      });
    }
  }
  return { alive: known, ended: list.slice(0, KEPT) };
}

// Of one that an earlier run left open, no exit code was seen.
function how({ reason, signal, exit_code: code }) {
  if (code === undefined) return t("orphaned");
  if (reason.fault === "none") return t("stopped as requested");
  if (signal) return t("ended by {signal}", { signal });
  return code === null ? t("did not start") : t("exited with {code}", { code });
}
