// Passkeys: one's own are listed, added, renamed and removed; an admin lists and removes those of another user.
import { on, partsOf, say, set, stamp } from "../../dom.js";
import { attachForm, problemOf, send } from "../../forms.js";
import { fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { addPasskey, browserProblem, whyNoneHere } from "../../webauthn.js";
import { browserOf } from "../account/browser.js";
import { JA } from "./passkeys.ja.js";

const PAGES = ["passkeys-list", "passkeys-form", "passkeys-remove"];

export function createPasskeys({ dialog, base, access }) {
  const parts = partsOf(dialog);
  const { "passkeys-label": label, "passkeys-password": password } = parts;
  const draw = createRows(parts["passkeys-rows"], { key: ({ passkey }) => passkey, create, fill });
  let of = null; // the user whose passkeys are shown
  let known = new Map();
  let subject = null; // the passkey of the form; null: a new one
  let changed = () => {};
  let needsPassword = false;
  let asks = 0;

  const isOwn = () => of === access.me().user;
  const urlOf = (passkey) => new URL(`api/passkeys/${encodeURIComponent(passkey)}`, base);

  function create({ passkey }) {
    const row = stamp("passkey-template");
    const { "passkey-rename": rename, "passkey-remove": remove } = partsOf(row);
    on(rename, "click", () => edit(known.get(passkey)));
    on(remove, "click", () => askFirst(known.get(passkey)));
    return row;
  }

  function fill(row, { label: name, since, used }) {
    const cells = partsOf(row);
    const added = t("added {time}", { time: fullTime(new Date(since)) });
    const last = used === null ? t("never used") : t("last used {time}", { time: fullTime(new Date(used)) });
    say(cells["passkey-label"], name);
    say(cells["passkey-facts"], [added, last].join(" · "));
    cells["passkey-rename"].hidden = !isOwn();
    set(cells["passkey-rename"], "aria-label", t("Rename {passkey}", { passkey: name }));
    set(cells["passkey-remove"], "aria-label", t("Remove {passkey}", { passkey: name }));
  }

  function show(page) {
    for (const each of PAGES) parts[each].hidden = each !== page;
    password.value = "";
  }

  // The message `said` appears with the new list, so that no row shows an old name beside it.
  async function list(said = "") {
    const asked = ++asks;
    show("passkeys-list");
    say(parts["passkeys-problem"], "");
    say(parts["passkeys-done"], "");
    try {
      const { passkeys, needs_password } = await send(new URL("api/passkeys", base), "GET");
      if (asked !== asks) return;
      needsPassword = needs_password;
      const shown = passkeys.filter(({ user }) => user === of);
      known = new Map(shown.map((each) => [each.passkey, each]));
      draw(shown);
      say(parts["passkeys-intro"], intro(shown.length));
    } catch (error) {
      if (asked !== asks) return;
      say(parts["passkeys-problem"], problemOf(error));
    }
    say(parts["passkeys-done"], said);
  }

  function intro(count) {
    if (!isOwn()) return count ? "" : t("{user} has no passkey.", { user: of });
    return t("A passkey is a key on your device. It logs you in by a fingerprint, your face or a PIN.");
  }

  function back(said = "") {
    list(said);
    (parts["passkeys-add"].hidden ? parts["passkeys-close"] : parts["passkeys-add"]).focus();
  }

  /** @param {any} passkey */
  function edit(passkey = null) {
    subject = passkey;
    say(parts["passkeys-form-title"], passkey ? t("Rename {passkey}", { passkey: passkey.label }) : t("Add a passkey"));
    say(parts["passkeys-form-problem"], "");
    label.value = passkey ? passkey.label : browserOf(navigator.userAgent);
    show("passkeys-form");
    parts["passkeys-password-row"].hidden = Boolean(passkey) || !needsPassword;
    label.focus();
    label.select();
  }

  async function save() {
    const name = label.value.trim();
    if (!name) return say(parts["passkeys-form-problem"], t("Enter a name."));
    if (subject) {
      await send(urlOf(subject.passkey), "PUT", { label: name });
      return back(t("{passkey} was renamed.", { passkey: name }));
    }
    try {
      await addPasskey(base, name, password.value);
    } catch (error) {
      const words = browserProblem(error, t("No passkey was made: it was cancelled, or took too long."));
      throw words ? new Error(words) : error;
    }
    back(t("{passkey} was added. You can log in with it now.", { passkey: name }));
  }

  function askFirst(passkey) {
    subject = passkey;
    say(parts["passkeys-remove-title"], t("Remove {passkey}?", { passkey: passkey.label }));
    say(parts["passkeys-remove-problem"], "");
    show("passkeys-remove");
    parts["passkeys-keep"].focus();
  }

  async function remove() {
    await send(urlOf(subject.passkey), "DELETE");
    changed();
    back(t("{passkey} was removed.", { passkey: subject.label }));
  }

  attachForm(parts["passkeys-form"], parts["passkeys-form-problem"], save, () =>
    needsPassword && !subject ? t("The password is wrong.") : "",
  );
  attachForm(parts["passkeys-remove"], parts["passkeys-remove-problem"], remove);
  on(parts["passkeys-add"], "click", () => edit());
  for (const part of ["passkeys-cancel", "passkeys-keep"]) on(parts[part], "click", () => back());
  on(dialog, "close", () => (password.value = ""));
  on(dialog, "click", (event) => event.target === dialog && !parts["passkeys-list"].hidden && dialog.close());

  return {
    // `user`: another one, for an admin. `then()`: one of that user's passkeys was removed.
    open(user = access.me().user, then = () => {}) {
      of = user;
      changed = then;
      say(parts["passkeys-title"], isOwn() ? t("Passkeys") : t("Passkeys of {user}", { user }));
      const why = isOwn() ? whyNoneHere() : "";
      say(parts["passkeys-none"], why);
      parts["passkeys-add"].hidden = Boolean(why) || !isOwn();
      say(parts["passkeys-intro"], isOwn() ? intro(0) : "");
      draw([]);
      dialog.showModal();
      back();
    },
  };
}

export const panel = definePanel({
  id: "passkeys",
  title: n("Passkeys"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, access }) => createPasskeys({ dialog: root, base, access }),
});
