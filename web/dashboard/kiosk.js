// An unattended screen is reloaded every night, but only while the server answers.
// A page that failed to load would stay broken.

const HOUR = 3;
const AGAIN_MS = 30_000;
// The screens of one site do not all reload in the same second.
export const SPREAD_MS = 60_000;

export const isKiosk = (search) => new URLSearchParams(search).get("kiosk") === "1";

// Milliseconds until the next three o'clock local time. Pure except for the time zone.
export function untilReload(now) {
  const next = new Date(now);
  next.setHours(HOUR, 0, 0, 0);
  if (next <= now) next.setDate(next.getDate() + 1);
  return next.getTime() - now;
}

// Whether the server answers.
export const asks = (base) => async () => (await fetch(new URL("healthz", base), { cache: "no-store" })).ok;

// `answers()` → whether the server answers; `reload()` loads the page.
export function createKiosk({ answers, reload, chance = Math.random }) {
  let timer = null;

  const wait = (milliseconds) => (timer = setTimeout(due, milliseconds));

  async function due() {
    const mine = timer;
    const can = await answers().catch(() => false);
    if (mine !== timer) return;
    if (can) reload();
    else wait(AGAIN_MS);
  }

  return {
    start: () => timer ?? wait(untilReload(Date.now()) + chance() * SPREAD_MS),
    stop() {
      clearTimeout(timer);
      timer = null;
    },
  };
}
