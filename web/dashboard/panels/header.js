// The line on top: connection, counts, clock.
import { $, mark, partsOf, say, set } from "../dom.js";
import { clockDate, clockTime, fullTime, inSeconds } from "../format.js";
import { n, t } from "../i18n.js";

// The connection to banken, not a camera.
const LINKS = { live: n("live"), connecting: n("connecting"), waiting: n("waiting"), offline: n("offline") };
const MARKS = { live: "live", connecting: "connecting", waiting: "waiting", offline: "offline" };

export function createHeader({ clock }) {
  const parts = partsOf(document.querySelector(".header"));
  const { link } = parts;
  const use = link.querySelector("use");
  const lost = $("lost");
  let status = "connecting";
  let retryAt = null;
  let lastWord = null;
  let replay = false;

  function showLink() {
    const shown = status !== "live" && !navigator.onLine ? "offline" : status;
    set(link, "data-link", shown);
    mark(use, MARKS[shown]);
    say(parts["link-text"], words(shown));
    // The first connection is no loss; afterwards, what stands on the page is only what was last known.
    const stale = status !== "live" && lastWord !== null;
    document.documentElement.toggleAttribute("data-stale", stale);
    lost.hidden = !stale;
    if (stale) say(lost, t("No word from banken since {time}. Shown is what was last known.", { time: clockTime(new Date(lastWord)) }));
  }

  function words(shown) {
    if (shown === "waiting" && retryAt <= Date.now()) return t("reconnecting now");
    if (shown === "waiting") return t("reconnecting in {time}", { time: inSeconds(retryAt - Date.now()) });
    return t(shown === "live" && replay ? n("replay") : LINKS[shown]);
  }

  clock.onTick((now) => {
    const date = new Date(now);
    say(parts["clock-time"], clockTime(date));
    say(parts["clock-date"], clockDate(date));
    set(parts.clock, "title", fullTime(date));
    showLink();
  });

  return {
    link(change) {
      // Trying again is told apart from waiting only the first time; a flicker every few seconds helps nobody.
      if (change.status === "connecting" && lastWord !== null) return;
      ({ status, retryAt = null } = change);
      showLink();
    },
    hello(message) {
      replay = Boolean(message.replay);
      parts.exposed.hidden = !message.exposed;
      if (message.exposed) say(parts["exposed-text"], t("Anyone who can reach {address} can watch and control. banken asks for no password.", { address: message.exposed }));
      lastWord = clock.live();
      showLink();
    },
    state({ cameras }) {
      lastWord = clock.live();
      const live = cameras.filter(({ state }) => state === "live").length;
      say(parts["live-count"], String(live));
      say(parts["camera-count"], String(cameras.length));
      const viewers = cameras.reduce((sum, camera) => sum + camera.viewers, 0);
      say(parts["viewer-count"], String(viewers));
      say(parts["viewer-word"], ` ${viewers === 1 ? t("viewer") : t("viewers")}`);
      document.title = cameras.length ? t("{live}/{all} live · banken", { live, all: cameras.length }) : "banken";
    },
  };
}
