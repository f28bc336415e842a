// The header: connection, counts, clock. While banken is away, the number of live cameras is unknown for now, but still
// known for a moment of the past.
import { $, mark, partsOf, say, set } from "../../dom.js";
import { clockDate, clockTime, fullTime, inSeconds, zonedTime, zoneOf } from "../../format.js";
import { n, t } from "../../i18n.js";
import { attachTheme } from "./theme.js";
import { watching } from "../viewers/viewing.js";
import { definePanel } from "../../panel.js";
import { JA } from "./header.ja.js";

// The connection to banken, not to a camera.
const LINKS = {
  live: n("live"),
  connecting: n("connecting"),
  silent: n("silent"),
  waiting: n("waiting"),
  offline: n("offline"),
};
const UNKNOWN = "–";
const MARKS = { live: "live", connecting: "connecting", silent: "waiting", waiting: "waiting", offline: "offline" };

// `onStale(is)`: whether the displayed present is only the last known state.
export function createHeader({ root, clock, onStale }) {
  const parts = partsOf(root);
  const { link } = parts;
  const use = link.querySelector("use");
  const lost = $("lost");
  let status = "connecting";
  let retryAt = null;
  let lastWord = null;
  let replay = false;
  let stale = false;
  let counts = null; // {live, all, viewers, past, unknown}

  function showLink() {
    const shown = status !== "live" && !navigator.onLine ? "offline" : status;
    set(link, "data-link", shown);
    mark(use, MARKS[shown]);
    say(parts["link-text"], words(shown));
    // The first connection is not a loss; afterwards, the page displays only the last known state.
    const is = status !== "live" && lastWord !== null;
    if (is !== stale) {
      stale = is;
      document.documentElement.toggleAttribute("data-stale", stale);
      lost.hidden = !stale;
      showCounts();
      clock.silence(stale ? lastWord : null);
      onStale(stale);
    }
    if (!stale) return;
    say(
      lost,
      t("No answer from banken since {time}. The last known state is shown.", { time: zonedTime(new Date(lastWord)) }),
    );
    set(lost, "title", lost.textContent);
  }

  function words(shown) {
    if (shown === "waiting" && retryAt <= Date.now()) return t("reconnecting now");
    if (shown === "waiting") return t("reconnecting in {time}", { time: inSeconds(retryAt - Date.now()) });
    return t(shown === "live" && replay ? n("replay") : LINKS[shown]);
  }

  function showCounts() {
    if (!counts) return;
    const known = counts.past ? !counts.unknown : !stale;
    const live = known ? String(counts.live) : UNKNOWN;
    say(parts["live-count"], live);
    say(parts["camera-count"], String(counts.all));
    say(parts["viewer-count"], known ? String(counts.viewers) : UNKNOWN);
    say(parts["viewer-word"], ` ${known && counts.viewers === 1 ? t("viewer") : t("viewers")}`);
    document.title = counts.all ? t("{live}/{all} live · banken", { live, all: counts.all }) : "banken";
  }

  clock.onTick(() => {
    const date = new Date(clock.shown());
    const zone = zoneOf(new Date());
    say(parts["clock-time"], clockTime(date));
    say(parts["clock-zone"], zoneOf(date) === zone ? zone : t("other times: {zone}", { zone }));
    say(parts["clock-date"], clockDate(date));
    set(parts.clock, "title", fullTime(date));
    showLink();
  });

  set(parts["clock-zone"], "title", t("UTC offset of the times on this page that show none"));

  return {
    link(change) {
      // Only the first attempt is displayed as connecting: a flicker every few seconds helps nobody.
      if (change.status === "connecting" && lastWord !== null) return;
      ({ status, retryAt = null } = change);
      showLink();
    },
    hello(message) {
      replay = Boolean(message.replay);
      parts.exposed.hidden = !message.exposed;
      if (message.exposed)
        say(
          parts["exposed-text"],
          t("Anyone who can reach {address} can watch and control. banken asks for no password.", {
            address: message.exposed,
          }),
        );
      lastWord = clock.live();
      showLink();
    },
    state({ cameras, seq, unknown = null }) {
      const live = cameras.filter(({ state }) => state === "live").length;
      counts = {
        live,
        all: cameras.length,
        viewers: watching(cameras),
        past: seq !== undefined,
        unknown: unknown !== null,
      };
      if (!counts.past) lastWord = clock.live();
      showCounts();
    },
  };
}

export const panel = definePanel({
  id: "header",
  title: "", // a banner needs no label
  past: true,
  view: false,
  words: JA,
  shortcuts: [{ keys: ["T"], says: n("dark or light"), run: (header) => header.toggleTheme() }],
  mount: (root, { clock, tell }) => ({
    ...createHeader({ root, clock, onStale: (is) => tell("stale", is) }),
    toggleTheme: attachTheme($("theme")).toggle,
  }),
});
