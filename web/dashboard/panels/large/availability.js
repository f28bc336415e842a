// The availability of one camera in one line: since the daemon started, requested again each minute; or, in the past,
// in the hour before. The server computes the sums.
import { askJson } from "../../ask.js";
import { $, say } from "../../dom.js";
import { clockDay, fixed, lasted, zonedTime } from "../../format.js";
import { t } from "../../i18n.js";

export const EVERY_MS = 60_000;

// The entry of a camera in `/api/availability` in words; empty without time and visits: nothing to judge. Pure.
export function figuresOf({ wanted_s, availability, cycles, cycles_served, snapshots, snapshots_served, losses }) {
  const words = [];
  if (wanted_s) words.push(t("live {share} of {time}", { share: percent(availability), time: lasted(wanted_s) }));
  if (cycles) words.push(t("{served} of {count} patrol cycles", { served: cycles_served, count: cycles }));
  if (snapshots) words.push(t("{served} of {count} snapshots", { served: snapshots_served, count: snapshots }));
  if (losses) words.push(t("losses: {count}", { count: losses }));
  return words.join(", ");
}

// 100.00 % means all of it: a share that only rounds to it is less. Pure.
export function percent(share) {
  const text = fixed(share * 100, 2);
  return `${share < 1 && text === "100.00" ? "99.99" : text} %`;
}

// With the interface of history.js. Without an answer the line stays empty: the history beside it gives the reason.
export function createAvailability({ base, clock }) {
  const line = $("large-availability");
  let asking = null;
  let asked = 0;
  let untick = () => {};

  async function show(id, past) {
    asking?.abort();
    const mine = (asking = new AbortController());
    asked = clock.live();
    const query = new URLSearchParams({ camera: id, ...(past && { to: new Date(clock.now()).toISOString() }) });
    const answer = await askJson(new URL(`api/availability?${query}`, base), { signal: mine.signal }).catch(() => null);
    if (asking !== mine || !answer) return;
    const figures = answer.cameras.map(figuresOf).join();
    const [from, to] = [answer.from, answer.to].map(
      (time) => `${clockDay(new Date(time))} ${zonedTime(new Date(time))}`,
    );
    say(line, figures && t("{from} to {to}: {figures}", { from, to, figures }));
  }

  return {
    open(id, before = null) {
      this.close();
      show(id, before !== null);
      if (before === null)
        untick = clock.onTick(() => document.hidden || clock.live() - asked < EVERY_MS || show(id, false));
    },
    events() {},
    close() {
      untick();
      asking?.abort();
      asking = null;
      say(line, "");
    },
  };
}
