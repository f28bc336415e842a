// The user of this page, and the rights of that user. Rules of this file:
// 1. The server decides. This page hides what it would refuse.
// 2. Nothing of a session that has ended stays: the page is loaded again, and then says why.
// 3. Without an answer nothing changes: the header says that banken is away.
import { askJson } from "./ask.js";
import { set } from "./dom.js";
import { n } from "./i18n.js";
import { recall, remember } from "./storage.js";

const WHY = "banken.access";
const TIMEOUT_MS = 5000;
export const RIGHTS = ["view", "inspect", "watch", "read", "review", "room", "share", "operate", "administer"];
export const ROLES = {
  watcher: n("watcher"),
  analyst: n("analyst"),
  operator: n("operator"),
  admin: n("admin"),
  detector: n("detector"),
  monitor: n("monitor"),
};
// Until the server has answered, and of a server without users.
const EVERYTHING = Object.freeze({ user: null, role: null, rights: RIGHTS, scope: null, login: false, share: null });

let me = EVERYTHING;

/** @type {(right: string) => boolean} */
export const may = (right) => me.rights.includes(right);

// Whether somebody has to log in. Pure.
export const isOut = ({ login, rights }) => login && !rights.includes("view");

// The rights that are missing. Pure.
export const lacking = ({ rights }) => RIGHTS.filter((right) => !rights.includes(right));

// Why the page is loaded again; null: nothing has changed. Pure.
export function changeOf(before, now) {
  if (same(before, now)) return null;
  if (!isOut(now)) return "changed";
  return before.login ? "ended" : "first";
}

const same = (one, other) => shown(one) === shown(other);
const shown = ({ user, role, rights, scope, login }) => JSON.stringify([user, role, [...rights].sort(), scope, login]);

// Takes the answer of the server, and hides what it would refuse.
export function learnAccess(answer) {
  me = answer;
  const root = document.documentElement;
  set(root, "data-lacks", lacking(me).join(" ") || null);
  root.toggleAttribute("data-out", isOut(me));
}

// `early`: the answer that was requested before the modules were loaded. `reload()` loads the page without its address.
// `onKnown(me, why)`: the server has answered; `why`: the page was loaded again because access has changed, or null.
export function createAccess({ url, early, reload, onKnown }) {
  let asking = false;
  let leaving = false;
  let expected = null; // the change that this page has requested

  // Null: there was no answer, or not from a server with sessions.
  const request = () => askJson(url, { tries: 1, timeout: TIMEOUT_MS, cache: "no-store" }).then(checked, () => null);
  const checked = (answer) => (Array.isArray(answer?.rights) ? answer : null);

  function take(answer) {
    if (answer) learnAccess(answer);
    const why = recall(sessionStorage, WHY);
    remember(sessionStorage, WHY, null);
    onKnown(me, why);
    return !isOut(me);
  }

  function leave(why) {
    leaving = true;
    remember(sessionStorage, WHY, why);
    reload();
  }

  // Something was refused: the session may have ended, or have other rights.
  async function check() {
    if (asking || leaving) return;
    asking = true;
    const now = await request();
    asking = false;
    const change = now && changeOf(me, now);
    if (change && !leaving) leave(expected ?? change);
  }

  const first = early.then(checked).then(take);

  return {
    me: () => me,
    // → whether this page may show anything, once the server has answered.
    entered: () => first.then(() => !isOut(me)),
    // Somebody has logged in. → as `entered`.
    enter: async () => take(await request()),
    check,
    leave,
    // This page requests a change of its access; null: it was refused.
    expect: (why) => (expected = why),
  };
}
