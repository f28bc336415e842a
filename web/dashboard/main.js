// Connects the one feed to the panels of the table, and the page's life cycle to both.
import { socketOf } from "./address.js";
import { createAnnouncer } from "./announcer.js";
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
const { panels, tell, now, drawer } = mountPanels(PANELS, { base, clock, request: (view, is) => feed.show(view, is) });
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

attachLifecycle({
  start: () => all("start"),
  stop: () => all("stop"),
  seen: (is) => tell("seen", is),
  wake: () => tell("resume", false),
});

const { wall, large, suggest, rooms } = panels;
window.banken = { players: wall.players, large: large.player, suggest: suggest?.player, links: rooms?.links };
