// The page of a link: until when its cameras are shared, or why it does not open. Rules of this file:
// 1. early.js has sent the secret of the link, and keeps it for this tab.
//    A page that is loaded again is the same viewer.
// 2. A user who is logged in does not become a viewer of a link by accident.
import { $, on, partsOf, say } from "../../dom.js";
import { problemOf, send } from "../../forms.js";
import { fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./visit.ja.js";

// The words of the server for a link that opens nothing; a test compares them.
export const REASONS = [
  n("the time of the link is over"),
  n("the link was revoked"),
  n("the person who made the link may not share this any more"),
  n("the account was removed"),
  n("the link did not survive a restart"),
  n("this link is not valid: it may be incomplete, or it ended long ago"),
];
const CONFLICT = 409;
const FULL = "urn:banken:problem:full";

// Why the link does not open, in words. `refused`: the problem of the server, with its status. Pure.
export function whyOf({ status, type, detail }) {
  if (status === CONFLICT) return t("You are logged in. Log out to watch with this link, or go to your own cameras.");
  if (type === FULL) return t("As many people as this link permits are watching. Try again when somebody has left.");
  return t("This link does not open: {reason}.", { reason: t(detail || t("banken does not answer")) });
}

// `refused`: → null, or why the link was not opened. `reload()` opens it again.
export function createVisit({ root, base, refused, reload }) {
  const parts = partsOf(root);
  let isOther = false; // somebody is logged in at this browser

  async function tryAgain() {
    say(parts["visit-problem"], "");
    if (isOther) {
      const failed = await send(new URL("api/session", base), "DELETE").then(
        () => null,
        (error) => error,
      );
      if (failed) return say(parts["visit-problem"], problemOf(failed));
    }
    reload();
  }

  async function explain() {
    const why = await refused;
    isOther = why?.status === CONFLICT;
    say(parts["visit-why"], whyOf(why ?? { detail: REASONS.at(-1) }));
    say(parts["visit-again"], isOther ? t("Log out and watch") : t("Try again"));
    parts["visit-own"].hidden = !isOther;
    parts["visit-again"].focus();
  }

  on(parts["visit-again"], "click", tryAgain);
  on(parts["visit-own"], "click", () => location.assign(new URL(".", base)));

  return {
    access({ share, until }) {
      $("visit-until").hidden = !share;
      if (share) say($("visit-until"), t("Shared with you until {time}.", { time: fullTime(new Date(until)) }));
      else if ("share" in document.documentElement.dataset) explain();
    },
  };
}

export const panel = definePanel({
  id: "visit",
  title: n("Shared cameras"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base }) =>
    createVisit({ root, base, refused: window.bankenLink ?? null, reload: () => location.reload() }),
});
