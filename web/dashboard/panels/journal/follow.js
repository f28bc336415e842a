// Following or holding: while held, events wait (the newest LIMIT of them) and are counted.
import { $, mark, on, say, set } from "../../dom.js";
import { t } from "../../i18n.js";

export function createFollow({ rows, limit, show }) {
  const button = $("follow");
  let held = [];
  let unseen = 0;
  let following = true;
  let byScroll = false;
  let stale = false;

  function draw() {
    set(button, "aria-pressed", following);
    mark(button.querySelector("use"), !following ? "pause" : stale ? "offline" : "live");
    say(
      $("follow-text"),
      following && stale
        ? t("Waiting")
        : following
          ? t("Following")
          : unseen
            ? t("{count} new", { count: unseen > 999 ? "999+" : unseen })
            : t("Held"),
    );
    set(
      button,
      "aria-label",
      following && stale
        ? t("Waiting for banken; press to hold")
        : following
          ? t("Following; press to hold")
          : t("Held, {count} new; press to follow", { count: unseen }),
    );
  }

  function setFollowing(is, scroll = false) {
    following = is;
    byScroll = !is && scroll;
    if (is) {
      const waiting = held;
      held = [];
      unseen = 0;
      show(waiting);
    }
    draw();
  }

  on(button, "click", toggle);
  function toggle() {
    setFollowing(!following);
    if (following) rows.scrollTop = 0;
  }

  // Scrolling down holds the list; returning to the top lets it continue.
  on(
    rows,
    "scroll",
    () => {
      if (following && rows.scrollTop > 60) setFollowing(false, true);
      else if (byScroll && rows.scrollTop < 4) setFollowing(true);
    },
    { passive: true },
  );
  draw();

  return {
    toggle,
    // banken is away: no events arrive that the list could follow.
    stale(is) {
      stale = is;
      draw();
    },
    hold: () => following && setFollowing(false),
    take(events) {
      if (following) return show(events);
      held = held.concat(events).slice(-limit);
      unseen += events.length;
      draw();
    },
    reset() {
      held = [];
      setFollowing(true);
    },
  };
}
