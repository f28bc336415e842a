// The menu of the user: one's sessions, password and passkeys, and for an admin the users and tokens.
import { may, ROLES } from "../../access.js";
import { $, on, partsOf, say, set, stamp } from "../../dom.js";
import { attachForm, passwordProblem, problemOf, send } from "../../forms.js";
import { fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { browserOf } from "./browser.js";
import { JA } from "./account.ja.js";

// `open(name)` shows the passkeys, the users, the tokens or the shared links.
export function createAccount({ root, base, access, open }) {
  const button = $("account");
  const sessions = $("sessions-dialog");
  const problem = $("sessions-problem");
  const password = createPassword({ base, access });
  const draw = createRows($("sessions-rows"), { key: ({ session }) => session, create, fill });
  let replay = false;

  function create({ session, own }) {
    const row = stamp("session-template");
    on($("session-end", row), "click", () => (own ? leave(problem) : end(session)));
    return row;
  }

  function fill(row, { agent, client, since, own }) {
    const browser = browserOf(agent);
    const parts = partsOf(row);
    say(parts["session-agent"], browser);
    set(parts["session-agent"], "title", agent);
    parts["session-own"].hidden = !own;
    say(parts["session-facts"], t("{client}, since {time}", { client, time: fullTime(new Date(since)) }));
    set(parts["session-end"], "aria-label", t("End the session of {browser}, {client}", { browser, client }));
  }

  async function list() {
    const { user } = access.me();
    const { sessions: all } = await send(new URL("api/sessions", base), "GET");
    draw(all.filter((session) => session.user === user));
  }

  const refuse = (error) => say(problem, problemOf(error));

  async function end(session) {
    say(problem, "");
    await send(new URL(`api/sessions/${encodeURIComponent(session)}`, base), "DELETE")
      .then(list)
      .catch(refuse);
    $("sessions-close").focus();
  }

  async function leave(where) {
    say(where, "");
    access.expect("left");
    await send(new URL("api/session", base), "DELETE").then(
      () => access.leave("left"),
      (error) => {
        access.expect(null);
        say(where, problemOf(error));
      },
    );
  }

  function show(dialog) {
    root.hidePopover();
    dialog.showModal();
  }

  function showButton() {
    button.hidden = replay || (access.me().user === null && !may("administer"));
  }

  for (const dialog of [sessions, $("password-dialog")])
    on(dialog, "click", (event) => event.target === dialog && dialog.close());
  on($("account-sessions"), "click", () => {
    say(problem, "");
    show(sessions);
    list().catch(refuse);
  });
  on($("account-password"), "click", () => {
    root.hidePopover();
    password.open();
  });
  for (const name of ["passkeys", "users", "tokens", "shares"])
    on($(`account-${name}`), "click", () => {
      root.hidePopover();
      open(name);
    });
  on($("account-logout"), "click", () => leave($("account-problem")));
  on($("notice-close"), "click", () => ($("notice").hidden = true));

  return {
    access({ user, role }, why) {
      const named = user !== null;
      showButton();
      say($("account-who"), named ? user : t("Nobody has to log in"));
      say(
        $("account-role"),
        named ? t(ROLES[role] ?? role) : t("Until there is a user, everybody on this machine may do everything."),
      );
      say($("account-name"), user ?? "");
      set(button, "title", named ? `${user}, ${t(ROLES[role] ?? role)}` : null);
      for (const part of ["account-own", "account-leave"]) $(part).hidden = !named;
      $("notice").hidden = why !== "changed";
    },
    hello(message) {
      replay = Boolean(message.replay);
      showButton();
    },
  };
}

function createPassword({ base, access }) {
  const dialog = $("password-dialog");
  const [old, fresh, reveal] = [$("password-old"), $("password-new"), $("password-show")];
  const done = $("password-done");

  const show = () => [old, fresh].forEach((field) => set(field, "type", reveal.checked ? "text" : "password"));

  function clear() {
    old.value = fresh.value = "";
    reveal.checked = false;
    show();
    say($("password-problem"), "");
  }

  async function save() {
    say(done, "");
    const wrong = passwordProblem(fresh.value);
    if (wrong) {
      say($("password-problem"), wrong);
      return fresh.focus();
    }
    await send(new URL("api/session/password", base), "PUT", { old: old.value, new: fresh.value });
    clear();
    say(done, t("The password was changed. Your other sessions have ended."));
  }

  attachForm($("password-form"), $("password-problem"), save, () => t("The old password is wrong."));
  on(reveal, "change", show);
  on(dialog, "close", clear);

  return {
    open() {
      say(done, "");
      $("password-user").value = access.me().user ?? "";
      dialog.showModal();
      old.focus();
    },
  };
}

export const panel = definePanel({
  id: "account",
  title: n("Account"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, access, panels }) => createAccount({ root, base, access, open: (name) => panels[name].open() }),
});
