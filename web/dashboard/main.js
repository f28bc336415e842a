// Connects the one feed to the panels of the table, and the page's life cycle to both.
import { createAccess } from "./access.js";
import { socketOf } from "./address.js";
import { createAnnouncer } from "./announcer.js";
import { onUnauthorized } from "./ask.js";
import { createClock } from "./clock.js";
import { $ } from "./dom.js";
import { createFeed } from "./feed.js";
import { speak } from "./i18n.js";
import { asks, createKiosk, isKiosk } from "./kiosk.js";
import { attachLifecycle } from "./page-lifecycle.js";
import { mountPanels } from "./page.js";
import { PANELS } from "./panels/table.js";

speak(PANELS.map(({ words = {} }) => words));

const base = document.baseURI.replace(/[?#].*$/, "");
const clock = createClock();
const access = createAccess({
  url: new URL("api/session", base),
  early: window.bankenSession,
  reload() {
    // An address may name a camera.
    history.replaceState(null, "", location.pathname + location.search);
    location.reload();
  },
  onKnown: (me, why) => tell("access", me, why),
});
const { panels, tell, now, drawer } = mountPanels(PANELS, {
  base,
  clock,
  access: { ...access, enter: () => access.enter().then(start) },
  request: (view, is) => feed.show(view, is),
});
const announcer = createAnnouncer($("announcer"));
const feed = createFeed({
  url: socketOf("ws/events", base),
  handlers: {
    link: (change) => tell("link", change),
    hello(message, { restarted }) {
      clock.learn(message.now);
      tell("hello", message);
      tell("resume", restarted);
    },
    events(list) {
      tell("news", list);
      now("events", list);
    },
    reset: () => now("reset"),
    refused: access.check,
    state(message) {
      clock.learn(message.now);
      now("state", message);
      announcer.update(message.cameras);
    },
  },
});
const kiosk = createKiosk({ answers: asks(base), reload: () => location.reload() });
const parts = [feed, drawer, announcer, clock, ...(isKiosk(location.search) ? [kiosk] : [])];
const all = (method) => {
  for (const part of [...parts, ...Object.values(panels)]) part?.[method]?.();
};

const start = (isIn) => isIn && all("start");

onUnauthorized(access.check);
attachLifecycle({
  start: () => access.entered().then(start),
  stop: () => all("stop"),
  seen: (is) => tell("seen", is),
  wake: () => tell("resume", false),
});

const { wall, large, suggest, rooms } = panels;
window.banken = { players: wall.players, large: large.player, suggest: suggest?.player, links: rooms?.links };
