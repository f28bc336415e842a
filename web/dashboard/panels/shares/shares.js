// Links with which others watch: list, make, revoke. The link is shown once, and leaves the page with its dialog.
import { on, partsOf, say, set, stamp } from "../../dom.js";
import { attachForm, problemOf, send } from "../../forms.js";
import { fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { copyFrom } from "../tokens/copy.js";
import { scopeWords } from "../users/fields.js";
import { JA } from "./shares.ja.js";

const PAGES = ["shares-list", "shares-form", "shares-made", "shares-end"];
const HOUR_S = 3600;
const MOST = 50;

export function createShares({ dialog, base }) {
  const parts = partsOf(dialog);
  const { "shares-link": link, "shares-code": code, "shares-for": until, "shares-viewers": viewers } = parts;
  const draw = createRows(parts["shares-rows"], { key: ({ share }) => share, create, fill });
  let cameras = [];
  let subject = { share: "", name: "" };

  const nameOf = ({ label, scope }) => label || scopeWords(scope);

  function create(share) {
    const row = stamp("share-template");
    on(partsOf(row)["share-revoke"], "click", () => askFirst(share));
    return row;
  }

  function fill(row, share) {
    const cells = partsOf(row);
    const { label, scope, until: ends, viewers: most, present, by, own } = share;
    const facts = [label && scopeWords(scope), t("ends {time}", { time: fullTime(new Date(ends)) })];
    if (!own) facts.push(t("made by {name}", { name: by.replace(/^user:/, "") }));
    say(cells["share-name"], nameOf(share));
    say(cells["share-viewers"], t("{present} of {viewers} watching", { present, viewers: most }));
    say(cells["share-facts"], facts.filter(Boolean).join(" · "));
    set(cells["share-revoke"], "aria-label", t("Revoke the link {name}", { name: nameOf(share) }));
  }

  function show(page) {
    for (const each of PAGES) parts[each].hidden = each !== page;
    if (page === "shares-made") return;
    link.value = "";
    code.removeAttribute("src");
  }

  async function list(said = "") {
    show("shares-list");
    say(parts["shares-problem"], "");
    say(parts["shares-done"], said);
    parts["shares-add"].focus();
    try {
      draw((await send(new URL("api/shares", base), "GET")).shares);
    } catch (error) {
      say(parts["shares-problem"], problemOf(error));
    }
  }

  function edit(chosen = null) {
    until.value = "8";
    viewers.value = "1";
    parts["shares-label"].value = "";
    say(parts["shares-form-problem"], "");
    parts["shares-cameras"].replaceChildren(...cameras.map((camera) => box(camera, camera.id === chosen)));
    show("shares-form");
    (
      dialog.querySelector("[data-part=shares-cameras] input:checked, [data-part=shares-cameras] input") ?? until
    ).focus();
  }

  function box({ id, title }, checked) {
    const label = Object.assign(document.createElement("label"), { className: "check" });
    const input = Object.assign(document.createElement("input"), { type: "checkbox", value: id, checked });
    label.append(input, ` ${title}`);
    return label;
  }

  async function make() {
    const chosen = [...parts["shares-cameras"].querySelectorAll("input:checked")].map(({ value }) => value);
    const count = Number(viewers.value);
    if (!chosen.length) return say(parts["shares-form-problem"], t("Choose at least one camera."));
    if (!Number.isInteger(count) || count < 1 || count > MOST)
      return say(parts["shares-form-problem"], t("Enter a number of viewers from 1 to 50."));
    const body = {
      cameras: chosen,
      for_s: Number(until.value) * HOUR_S,
      viewers: count,
      label: parts["shares-label"].value.trim(),
      page: base,
    };
    const made = await send(new URL("api/shares", base), "POST", body);
    show("shares-made");
    link.value = made.link;
    code.alt = t("The link as a QR code");
    code.hidden = !made.qr;
    code.src = `data:image/svg+xml,${encodeURIComponent(made.qr)}`;
    say(parts["shares-copied"], "");
    parts["shares-copy"].focus();
  }

  function askFirst(share) {
    subject = { share: share.share, name: nameOf(share) };
    say(parts["shares-end-title"], t("Revoke the link {name}?", subject));
    say(parts["shares-end-problem"], "");
    show("shares-end");
    parts["shares-keep"].focus();
  }

  async function revoke() {
    await send(new URL(`api/shares/${encodeURIComponent(subject.share)}`, base), "DELETE");
    await list(t("The link {name} was revoked.", subject));
  }

  attachForm(parts["shares-form"], parts["shares-form-problem"], make);
  attachForm(parts["shares-end"], parts["shares-end-problem"], revoke);
  on(parts["shares-add"], "click", () => edit());
  on(parts["shares-copy"], "click", () => copyFrom(link, parts["shares-copied"]));
  for (const part of ["shares-cancel", "shares-keep", "shares-ready"]) on(parts[part], "click", () => list());
  on(dialog, "click", (event) => event.target === dialog && !parts["shares-list"].hidden && dialog.close());
  on(dialog, "close", () => show("shares-list"));

  return {
    state: (message) => (cameras = message.cameras.map(({ id, title }) => ({ id, title }))),
    // `chosen`: a camera for a new link; null: the list.
    open(chosen = null) {
      dialog.showModal();
      if (chosen === null) list();
      else edit(chosen);
    },
  };
}

export const panel = definePanel({
  id: "shares",
  needs: "share",
  title: n("Shared links"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base }) => createShares({ dialog: root, base }),
});
