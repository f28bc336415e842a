// Wires the one feed to the panels, and the page's life to both.
import { createAnnouncer } from "./announcer.js";
import { createClock } from "./clock.js";
import { $, on } from "./dom.js";
import { createFeed } from "./feed.js";
import { toggleFullscreen } from "./fullscreen.js";
import { chosenLanguage, currentLanguage, pick, setLanguage, translate } from "./i18n.js";
import { createIdle } from "./idle.js";
import { createKiosk, isKiosk } from "./kiosk.js";
import { createLarge } from "./large/large.js";
import { createLayout } from "./layout.js";
import { createAlerts } from "./panels/alerts.js";
import { createArranging } from "./panels/arranging.js";
import { createDetections } from "./panels/detections.js";
import { createDevices } from "./panels/devices.js";
import { createDrawer } from "./panels/drawer.js";
import { createGrid } from "./panels/grid.js";
import { createHeader } from "./panels/header.js";
import { createHealth } from "./panels/health.js";
import { createHelp } from "./panels/help.js";
import { createJournal } from "./panels/journal.js";
import { createProcesses } from "./panels/processes.js";
import { createRooms } from "./panels/rooms.js";
import { createSettings, stopsHidden } from "./panels/settings.js";
import { createSplitters } from "./panels/splitters.js";
import { createSuggest } from "./panels/suggest.js";
import { createViewers } from "./panels/viewers.js";
import { createBar } from "./past/bar.js";
import { createPast } from "./past/past.js";
import { attachShortcuts } from "./shortcuts.js";
import { attachTheme } from "./theme.js";
import { createTimeline } from "./timeline/timeline.js";

setLanguage(pick([chosenLanguage() ?? navigator.languages].flat()));
document.documentElement.lang = currentLanguage();
translate(document.documentElement);
delete document.documentElement.dataset.unspoken;

const base = document.baseURI.replace(/[?#].*$/, "");
const socketUrl = new URL("ws/events", base);
socketUrl.protocol = socketUrl.protocol.replace("http", "ws");

const clock = createClock();
const announcer = createAnnouncer($("announcer"));
const header = createHeader({ clock });
const health = createHealth();
const journal = createJournal({ onCamera: (id) => grid.selected(id) });
const alerts = createAlerts();
const processes = createProcesses({ base, clock });
const devices = createDevices({ base, clock });
const help = createHelp();
const layout = createLayout({ onChange: arrange });
const splitters = createSplitters(layout);
const settings = createSettings({ onReset: layout.reset, reload: () => location.reload() });
const theme = attachTheme($("theme"));
const idle = createIdle({ target: document, onIdle: () => large.forgotten() });
const kiosk = createKiosk({ answers: async () => (await fetch(new URL("healthz", base), { cache: "no-store" })).ok, reload: () => location.reload() });
const grid = createGrid({ base, clock, layout, onSelect: select, onOpen: (id) => large.open(id) });
const large = createLarge({ base, clock, wall: grid, idle: idle.seconds, onSelect: select, seq: () => past.view().moment?.seq ?? null });
const suggest = createSuggest({ base, clock, onOpen: (id) => large.open(id), onSelect: select, stopsHidden });
const detections = createDetections({ base, clock, onOpen: (id) => large.open(id) });
const viewers = createViewers({ base, clock, own: () => new Set([...grid.peers(), ...large.peers(), ...suggest.peers()]) });
const arranging = createArranging({ move: grid.send, place: grid.sendTo });
const rooms = createRooms({ base, clock });
const bar = createBar({ clock });

// What the panels are shown, of now or of the past.
const show = {
  enter() {
    grid.enterPast();
    large.past(true);
    suggest.past(true);
    detections.past(true);
    viewers.past(true);
    rooms.past(true);
  },
  leave() {
    grid.leavePast();
    large.past(false);
    suggest.past(false);
    detections.past(false);
    viewers.past(false);
    rooms.past(false);
    processes.past(null);
    devices.past(null);
  },
  events(list) {
    journal.take(list);
    large.events(list);
    detections.events(list);
    processes.events(list);
    devices.events(list);
  },
  reset() {
    journal.reset();
    processes.reset();
  },
  state(message) {
    header.state(message);
    health.state(message);
    alerts.state(message);
    viewers.state(message);
    rooms.state(message);
    grid.state(message);
    large.state(message);
    detections.state(message);
    if (message.processes) {
      processes.past(message);
      devices.past(message);
    }
  },
};
const past = createPast({ base, clock, show, onChange: bar.draw });
bar.attach(past);
const timeline = createTimeline({ base, clock, moment: past.moment, bounds: past.bounds, reveal: journal.reveal });
const drawer = createDrawer({ processes, devices, viewers: listed("viewers", viewers), detections, timeline, rooms: listed("rooms", rooms) });

const feed = createFeed({
  url: socketUrl,
  handlers: {
    link: header.link,
    hello(message, { restarted }) {
      clock.learn(message.now);
      header.hello(message);
      back(restarted);
      past.hello(message);
    },
    events(list) {
      grid.events(list);
      suggest.events(list);
      past.events(list);
      timeline.events(list);
    },
    reset: past.reset,
    state(message) {
      clock.learn(message.now);
      past.state(message);
      suggest.state(message);
      announcer.update(message.cameras);
    },
  },
});

// A view whose list the server sends while it is shown, and for as long as it is needed afterwards.
function listed(name, view) {
  return {
    enter() {
      feed.show(name, true);
      view.enter();
    },
    leave() {
      view.leave();
      feed.show(name, Boolean(view.needed?.()));
    },
  };
}

function arrange(now) {
  splitters.draw(now);
  grid.arrange();
}

// What waits for the server, or stood still while the page slept, need not wait any longer.
function back(restarted = false) {
  grid.back(restarted);
  large.back(restarted);
  suggest.back(restarted);
}

// A page that nobody sees shows nobody a camera of his own; the wall goes on.
function seen() {
  large.seen(!document.hidden);
  suggest.seen();
  if (!document.hidden) back();
}

function select(id) {
  journal.filter.setCamera(journal.filter.camera() === id ? null : id);
}

attachShortcuts({
  next: () => grid.move(1),
  previous: () => grid.move(-1),
  below: () => grid.move(grid.columns()),
  above: () => grid.move(-grid.columns()),
  enlarge: grid.enlarge,
  play: grid.play,
  select: () => grid.current() !== null && select(grid.current()),
  fullscreen: toggleFullscreen,
  filter: journal.filter.focus,
  follow: journal.toggleFollow,
  take: () => grid.take(),
  hear: () => grid.hear(),
  processes: () => drawer.toggle("processes"),
  devices: () => drawer.toggle("devices"),
  viewers: () => drawer.toggle("viewers"),
  back: () => past.step(-1),
  on: () => past.step(1),
  failureBack: () => past.failure(-1),
  failureOn: () => past.failure(1),
  now: past.back,
  detections: () => drawer.toggle("detections"),
  timeline: () => drawer.toggle("timeline"),
  rooms: () => drawer.toggle("rooms"),
  earlier: () => grid.sendCurrent(-1),
  later: () => grid.sendCurrent(1),
  arrange: arranging.toggle,
  settings: settings.toggle,
  theme: theme.toggle,
  reconnect: () => false,
  help: help.toggle,
  escape: () => !document.querySelector(":popover-open") && (arranging.stop() || drawer.close()),
}, {
  next: () => large.move(1),
  previous: () => large.move(-1),
  enlarge: large.close,
  play: large.toggle,
  hear: large.hear,
  take: large.take,
  reconnect: large.reconnect,
  fullscreen: toggleFullscreen,
  theme: theme.toggle,
});

function start() {
  clock.start();
  feed.start();
  grid.resume();
  large.resume();
  suggest.resume();
  idle.start();
  if (isKiosk(location.search)) kiosk.start();
  drawer.start();
  past.start();
}

// Nothing may run on behind a page that was left: no socket, no timer, no peer.
function stop() {
  feed.stop();
  past.stop();
  grid.leave();
  large.leave();
  suggest.leave();
  idle.stop();
  kiosk.stop();
  drawer.leave();
  rooms.stop();
  announcer.stop();
  clock.stop();
}

on(window, "pagehide", stop);
on(window, "pageshow", (event) => event.persisted && start());
splitters.draw(layout.now());
on(document, "visibilitychange", seen);
on(document, "resume", () => back());
on(window, "online", () => back());
start();

window.banken = { players: grid.players, large: large.player, suggest: suggest.player, links: rooms.links };
