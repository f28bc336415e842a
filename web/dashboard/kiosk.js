// A screen that nobody sits at is loaded anew every night, while the server answers: a page that could not be loaded
// would be the end of it.

const HOUR = 3;
const AGAIN_MS = 30_000;
// The screens of one house do not come all in the same second.
export const SPREAD_MS = 60_000;

export const isKiosk = (search) => new URLSearchParams(search).get("kiosk") === "1";

// Milliseconds until it is next three o'clock here. Pure but for the time zone.
export function untilReload(now) {
  const next = new Date(now);
  next.setHours(HOUR, 0, 0, 0);
  if (next <= now) next.setDate(next.getDate() + 1);
  return next - now;
}

// `answers()` → whether the server does; `reload()` loads the page.
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
