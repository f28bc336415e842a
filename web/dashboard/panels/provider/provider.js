// The login provider: the button of the login, and the link of one's own account. Rules of this file:
// 1. The address brings back a code, and each code has a text here. Nothing else of an address is shown.
// 2. Without a login provider there is nothing of this.
import { isOut } from "../../access.js";
import { $, on, say } from "../../dom.js";
import { problemOf, send } from "../../forms.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./provider.ja.js";

const CODE = /^#login=([a-z-]{1,30})$/;
export const LINKED = "linked";
/** @type {Record<string, string>} */
export const WHYS = {
  denied: n("{name} has refused the login."),
  stale: n("The login took too long, or began in another browser. Try again."),
  provider: n("{name} does not answer, or answers wrongly. The log of banken says more."),
  busy: n("Many people log in just now. Try again in a minute."),
  group: n("None of your groups at {name} may use this banken. Ask whoever runs it."),
  name: n("Your name at {name} cannot be the name of an account here. Ask whoever runs this banken."),
  taken: n(
    "There is an account of your name already. Log in with its password, and link it in the menu of the account.",
  ),
  role: n("Your groups at {name} do not fit your account here. An admin has to change one of them."),
  "linked-elsewhere": n("This login at {name}, or your account, is linked already."),
  out: n("Your session has ended. Log in again, and link the account then."),
  unavailable: n("banken cannot change accounts now. Try again later."),
  plain: n("This needs https. Ask whoever runs this banken."),
};

// The code with which a login came back; empty without one. Pure.
/** @param {string} hash */
export const codeOf = (hash) => {
  const code = CODE.exec(hash)?.[1] ?? "";
  return code === LINKED || Object.hasOwn(WHYS, code) ? code : "";
};

export function createProvider({ root, base }) {
  const dialog = root;
  const [state, problem, done] = [$("provider-state"), $("provider-problem"), $("provider-done")];
  const [link, unlink] = [$("provider-link"), $("provider-unlink")];
  const url = new URL("api/session/provider", base);
  let returned = take();
  let asking = false;
  let name = "";

  // The code leaves the address, so that it is not shown again.
  function take() {
    const code = codeOf(location.hash);
    if (code) history.replaceState(null, "", location.pathname + location.search);
    return code;
  }

  const why = (code) => (code in WHYS ? t(WHYS[code], { name }) : "");

  async function learn() {
    const { provider, linked } = await send(url, "GET");
    name = provider ?? "";
    say($("login-provider"), t("Log in with {name}", { name }));
    say($("account-provider"), t("Login with {name}", { name }));
    say($("provider-title"), t("Login with {name}", { name }));
    say(link, t("Link with {name}", { name }));
    $("login-other").hidden = $("account-provider").hidden = !name;
    say(
      state,
      linked
        ? t("Your account is linked to {name}: you can log in with it.", { name })
        : t("Your account is not linked to {name}.", { name }),
    );
    link.hidden = linked;
    unlink.hidden = !linked;
    return Boolean(name);
  }

  // One request at a time; a refusal is shown.
  async function press(work) {
    if (asking) return;
    asking = true;
    say(problem, "");
    say(done, "");
    await work().catch((error) => say(problem, problemOf(error)));
    asking = false;
  }

  function open() {
    say(problem, "");
    say(done, "");
    if (!dialog.open) dialog.showModal();
  }

  on(link, "click", () => press(async () => location.assign((await send(url, "POST")).location)));
  on(unlink, "click", () =>
    press(async () => {
      await send(url, "DELETE");
      await learn();
      say(done, t("Your account is no longer linked."));
      $("provider-close").focus();
    }),
  );
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  on($("account-provider"), "click", () => {
    /** @type {any} */ (document.getElementById("account")).hidePopover();
    open();
    // No press is lost meanwhile.
    learn().catch((error) => say(problem, problemOf(error)));
  });

  return {
    async access(me) {
      const code = returned;
      returned = "";
      if (!isOut(me) && me.user === null && !code) return;
      // Without an answer there is no button: the password still works.
      if (!(await learn().catch(() => false)) || !code) return;
      if (isOut(me)) return say($("login-problem"), why(code));
      open();
      say(code === LINKED ? done : problem, code === LINKED ? t("Your account is linked now.") : why(code));
    },
  };
}

export const panel = definePanel({
  id: "provider",
  title: n("Login provider"),
  past: true,
  needs: "none",
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base }) => createProvider({ root, base }),
});
