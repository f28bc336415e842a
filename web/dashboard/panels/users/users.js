// The users, for an admin: list, add, change, set a password, remove. The first user ends the trust in this machine.
import { ROLES } from "../../access.js";
import { on, partsOf, say, set, stamp } from "../../dom.js";
import { attachForm, passwordProblem, problemOf, send } from "../../forms.js";
import { plural } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { createFields, scopeWords, unknownWords } from "./fields.js";
import { JA } from "./users.ja.js";

const PAGES = ["users-list", "users-form", "users-remove"];
const FORMS = {
  add: n("Add a user"),
  first: n("Add the first user"),
  change: n("Change {user}"),
  password: n("New password of {user}"),
};

// `openPasskeys(user, then)` shows the passkeys of a user.
export function createUsers({ dialog, base, access, openPasskeys }) {
  const parts = partsOf(dialog);
  const { "users-name": name, "users-password": password, "users-show": reveal } = parts;
  const keepPasskeys = parts["users-keep-passkeys"];
  const fields = createFields(["watcher", "analyst", "operator", "admin"]);
  const draw = createRows(parts["users-rows"], { key: ({ user }) => user, create, fill });
  let cameras = [];
  let mode = "add";
  let subject = null; // the user of the form
  let known = new Map();

  parts["users-access"].append(fields.root);

  const urlOf = (user, more = "") => new URL(`api/users/${encodeURIComponent(user)}${more}`, base);

  function create({ user }) {
    const row = stamp("user-template");
    const {
      "user-change": change,
      "user-password": fresh,
      "user-passkeys": passkeys,
      "user-remove": remove,
    } = partsOf(row);
    on(change, "click", () => edit("change", known.get(user)));
    on(fresh, "click", () => edit("password", known.get(user)));
    on(passkeys, "click", () => openPasskeys(user, list));
    on(remove, "click", () => askFirst(known.get(user)));
    return row;
  }

  function fill(row, { user, role, scope, sessions, passkeys }) {
    const cells = partsOf(row);
    say(cells["user-name"], user);
    say(cells["user-role"], t(ROLES[role] ?? role));
    say(
      cells["user-facts"],
      [scopeWords(scope), plural(sessions, "session"), ...(passkeys ? [plural(passkeys, "passkey")] : [])].join(" · "),
    );
    cells["user-passkeys"].hidden = !passkeys;
    set(cells["user-passkeys"], "aria-label", t("Passkeys of {user}", { user }));
    set(cells["user-change"], "aria-label", t("Change {user}", { user }));
    set(cells["user-password"], "aria-label", t("New password of {user}", { user }));
    set(cells["user-remove"], "aria-label", t("Remove {user}", { user }));
  }

  function show(page) {
    for (const each of PAGES) parts[each].hidden = each !== page;
  }

  async function list(said = "") {
    show("users-list");
    say(parts["users-problem"], "");
    say(parts["users-done"], said);
    try {
      const { users } = await send(new URL("api/users", base), "GET");
      known = new Map(users.map((user) => [user.user, user]));
      draw(users);
    } catch (error) {
      say(parts["users-problem"], problemOf(error));
    }
  }

  // `wanted`: add, first, change, password.
  /** @param {string} wanted @param {any} user */
  function edit(wanted, user = null) {
    mode = wanted;
    subject = user?.user ?? null;
    const named = mode === "add" || mode === "first";
    clear();
    say(parts["users-form-title"], t(FORMS[mode], { user: subject }));
    parts["users-first"].hidden = mode !== "first";
    parts["users-name-row"].hidden = !named;
    parts["users-password-row"].hidden = parts["users-show-row"].hidden = mode === "change";
    parts["users-access"].hidden = mode === "first" || mode === "password";
    parts["users-passkeys"].hidden = mode !== "password" || !user.passkeys;
    fields.show(user ?? { role: "watcher" }, cameras);
    show("users-form");
    (named ? name : mode === "password" ? password : parts["users-form-title"]).focus();
  }

  function clear() {
    name.value = password.value = "";
    reveal.checked = keepPasskeys.checked = false;
    reveals();
    say(parts["users-form-problem"], "");
  }

  const reveals = () => set(password, "type", reveal.checked ? "text" : "password");

  async function save() {
    const wrong = wrongWith();
    if (wrong) return say(parts["users-form-problem"], wrong);
    await FORM[mode]();
    clear();
  }

  function wrongWith() {
    if ((mode === "add" || mode === "first") && !name.value.trim()) return t("Enter a name.");
    return mode === "change" ? "" : passwordProblem(password.value);
  }

  const make = (more) =>
    send(new URL("api/users", base), "POST", { user: name.value.trim(), password: password.value, ...more });

  const FORM = {
    async add() {
      const { user, unknown } = await make(fields.value());
      await list([t("{user} can log in now.", { user }), unknownWords(unknown)].join(" "));
      parts["users-add"].focus();
    },
    async first() {
      access.expect("first");
      try {
        await make({ role: "admin", everything: true });
      } catch (error) {
        access.expect(null);
        throw error;
      }
      access.leave("first");
    },
    async change() {
      const { unknown } = await send(urlOf(subject), "PUT", fields.value());
      await list([t("{user} was changed.", { user: subject }), unknownWords(unknown)].join(" "));
      parts["users-add"].focus();
    },
    async password() {
      const body = { password: password.value, keep_passkeys: keepPasskeys.checked };
      await send(urlOf(subject, "/password"), "PUT", body);
      await list(t("{user} has a new password, and logs in again.", { user: subject }));
      parts["users-add"].focus();
    },
  };

  function askFirst({ user }) {
    subject = user;
    say(parts["users-remove-title"], t("Remove {user}?", { user }));
    say(parts["users-remove-problem"], "");
    show("users-remove");
    parts["users-keep"].focus();
  }

  async function remove() {
    await send(urlOf(subject), "DELETE");
    await list(t("{user} was removed.", { user: subject }));
    parts["users-add"].focus();
  }

  async function back() {
    if (mode === "first") return dialog.close();
    await list();
    parts["users-add"].focus();
  }

  attachForm(parts["users-form"], parts["users-form-problem"], save);
  attachForm(parts["users-remove"], parts["users-remove-problem"], remove);
  on(reveal, "change", reveals);
  on(parts["users-add"], "click", () => edit("add"));
  on(parts["users-cancel"], "click", back);
  on(parts["users-keep"], "click", back);
  on(dialog, "click", (event) => event.target === dialog && !parts["users-list"].hidden && dialog.close());
  on(dialog, "close", clear);

  return {
    state: (message) => (cameras = message.cameras.map(({ id, title }) => ({ id, title }))),
    open() {
      dialog.showModal();
      if (!access.me().login) return edit("first");
      list();
      parts["users-add"].focus();
    },
  };
}

export const panel = definePanel({
  id: "users",
  needs: "administer",
  title: n("Users"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, access, panels }) =>
    createUsers({ dialog: root, base, access, openPasskeys: (...values) => panels.passkeys.open(...values) }),
});
