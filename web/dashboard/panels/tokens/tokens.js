// The tokens of programs, for an admin: list, make, revoke. The secret is shown once, and leaves the page with it.
import { ROLES } from "../../access.js";
import { on, partsOf, say, set, stamp } from "../../dom.js";
import { attachForm, problemOf, send } from "../../forms.js";
import { fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { copyFrom } from "./copy.js";
import { createFields, scopeWords, unknownWords } from "../users/fields.js";
import { JA } from "./tokens.ja.js";

const PAGES = ["tokens-list", "tokens-form", "tokens-made", "tokens-end"];
const DAY_MS = 86_400_000;

export function createTokens({ dialog, base, clock }) {
  const parts = partsOf(dialog);
  const { "tokens-name": name, "tokens-secret": secret, "tokens-until": until, "tokens-rtsp": rtsp } = parts;
  const fields = createFields(Object.keys(ROLES));
  const draw = createRows(parts["tokens-rows"], { key: ({ token }) => token, create, fill });
  let cameras = [];
  let subject = "";

  parts["tokens-access"].append(fields.root);

  function create({ token }) {
    const row = stamp("token-template");
    on(partsOf(row)["token-revoke"], "click", () => askFirst(token));
    return row;
  }

  function fill(row, { token, role, scope, until: ends, rtsp: reads }) {
    const cells = partsOf(row);
    const when = ends === null ? t("never ends") : t("ends {time}", { time: fullTime(new Date(ends)) });
    say(cells["token-name"], token);
    say(cells["token-role"], t(ROLES[role] ?? role));
    say(cells["token-facts"], [scopeWords(scope), when, reads && t("for RTSP")].filter(Boolean).join(" · "));
    set(cells["token-revoke"], "aria-label", t("Revoke {token}", { token }));
  }

  function show(page) {
    for (const each of PAGES) parts[each].hidden = each !== page;
    if (page !== "tokens-made") secret.value = "";
  }

  async function list(said = "") {
    show("tokens-list");
    say(parts["tokens-problem"], "");
    say(parts["tokens-done"], said);
    parts["tokens-add"].focus();
    try {
      draw((await send(new URL("api/tokens", base), "GET")).tokens);
    } catch (error) {
      say(parts["tokens-problem"], problemOf(error));
    }
  }

  function edit() {
    name.value = until.value = "";
    rtsp.checked = false;
    say(parts["tokens-form-problem"], "");
    fields.show({ role: "watcher" }, cameras);
    show("tokens-form");
    name.focus();
  }

  async function make() {
    const token = name.value.trim();
    if (!token) return say(parts["tokens-form-problem"], t("Enter a name."));
    const ends = until.value && new Date(clock.live() + Number(until.value) * DAY_MS).toISOString();
    const body = { token, ...fields.value(), ...(ends && { until: ends }), ...(rtsp.checked && { rtsp: true }) };
    const made = await send(new URL("api/tokens", base), "POST", body);
    show("tokens-made");
    secret.value = made.secret;
    say(parts["tokens-unknown"], unknownWords(made.unknown));
    say(parts["tokens-copied"], "");
    parts["tokens-copy"].focus();
  }

  function askFirst(token) {
    subject = token;
    say(parts["tokens-end-title"], t("Revoke {token}?", { token }));
    say(parts["tokens-end-problem"], "");
    show("tokens-end");
    parts["tokens-keep"].focus();
  }

  async function revoke() {
    await send(new URL(`api/tokens/${encodeURIComponent(subject)}`, base), "DELETE");
    await list(t("{token} was revoked.", { token: subject }));
  }

  attachForm(parts["tokens-form"], parts["tokens-form-problem"], make);
  attachForm(parts["tokens-end"], parts["tokens-end-problem"], revoke);
  on(parts["tokens-add"], "click", edit);
  on(parts["tokens-copy"], "click", () => copyFrom(secret, parts["tokens-copied"]));
  for (const part of ["tokens-cancel", "tokens-keep", "tokens-ready"]) on(parts[part], "click", () => list());
  on(dialog, "click", (event) => event.target === dialog && !parts["tokens-list"].hidden && dialog.close());
  on(dialog, "close", () => show("tokens-list"));

  return {
    state: (message) => (cameras = message.cameras.map(({ id, title }) => ({ id, title }))),
    open() {
      dialog.showModal();
      list();
    },
  };
}

export const panel = definePanel({
  id: "tokens",
  needs: "administer",
  title: n("Tokens"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, clock }) => createTokens({ dialog: root, base, clock }),
});
