// The login. It is all of the page while somebody has to log in; then the wall takes its place. Rules of this file:
// 1. A request is sent once for each press: a wrong password is counted by the server.
// 2. The password leaves the page with its answer.
import { isOut } from "../../access.js";
import { on, partsOf, say, set } from "../../dom.js";
import { problemOf, send } from "../../forms.js";
import { inSeconds } from "../../format.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./login.ja.js";
import { createPasskeyLogin } from "./passkey.js";

const WHYS = {
  ended: n("Your session was ended, or your access has changed. Log in again."),
  first: n("banken has users now: from now on, everybody logs in."),
  left: n("You have logged out."),
};

// `enter()`: somebody has logged in.
export function createLogin({ root, base, enter }) {
  const parts = partsOf(root);
  const { "login-user": user, "login-password": password, "login-show": reveal, "login-enter": button } = parts;
  const problem = parts["login-problem"];
  let asking = false;
  let again = 0; // when the server takes the next try
  let timer = null;
  const passkey = createPasskeyLogin({ parts, base, entered });

  async function tryIt() {
    if (asking || again > Date.now()) return;
    if (!user.value.trim() || !password.value) {
      say(problem, t("Enter your name and your password."));
      return (user.value.trim() ? password : user).focus();
    }
    asking = true;
    say(problem, "");
    draw();
    const body = { user: user.value.trim(), password: password.value };
    const failed = await send(new URL("api/session", base), "POST", body).then(
      () => null,
      (error) => error,
    );
    asking = false;
    if (failed) fail(failed);
    else await entered();
    draw();
  }

  async function entered() {
    passkey.end();
    clear();
    await enter();
  }

  function fail(error) {
    say(problem, problemOf(error, t("The name or the password is wrong.")));
    if (error.status === 429) wait(error.retryAfter);
    password.focus();
    password.select();
  }

  function wait(seconds) {
    again = Date.now() + seconds * 1000;
    clearInterval(timer);
    timer = setInterval(draw, 1000);
  }

  function draw() {
    const left = again - Date.now();
    if (left <= 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
      say(problem, "");
    }
    set(button, "aria-disabled", asking || left > 0 || null);
    say(button, left > 0 ? t("Again in {time}", { time: inSeconds(left) }) : t("Log in"));
  }

  function clear() {
    password.value = "";
    reveal.checked = false;
    show();
  }

  const show = () => set(password, "type", reveal.checked ? "text" : "password");

  on(parts["login-form"], "submit", (event) => {
    event.preventDefault();
    tryIt();
  });
  on(reveal, "change", show);

  return {
    access(me, why) {
      if (!isOut(me)) return;
      document.title = "banken";
      say(parts["login-why"], why in WHYS ? t(WHYS[why]) : "");
      (user.value ? password : user).focus();
      passkey.begin();
    },
    stop() {
      passkey.end();
      clear();
    },
  };
}

export const panel = definePanel({
  id: "login",
  title: n("Log in"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, access }) => createLogin({ root, base, enter: access.enter }),
});
