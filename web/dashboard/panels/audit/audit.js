// The view of the audit: who watched which camera, as a table and over time; who exported, changed, logged in, or was
// refused. The server decides which rows somebody may see.
import { askJson } from "../../ask.js";
import { partsOf, on, say, set } from "../../dom.js";
import { fixed, fullTime, lasted } from "../../format.js";
import { problemOf } from "../../forms.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./audit.ja.js";
import { csvOf } from "./csv.js";
import { draw, lanesOf } from "./plot.js";

const PAGE = 100;
const MIB = 2 ** 20;
// The kinds and ways, as the page writes them.
export const WORDS = {
  watched: n("watched"),
  leased: n("leased"),
  exported: n("exported"),
  changed: n("changed"),
  login: n("login"),
  "login-failed": n("login-failed"),
  refused: n("refused"),
  snapshot: n("single pictures"),
  opened: n("opened for a snapshot"),
  lease: n("a tile"),
  "large view": n("the large view"),
  suggestion: n("the suggestion"),
};

export function createAudit({ root, base, clock }) {
  const parts = partsOf(root);
  const { "audit-user": user, "audit-camera": camera, "audit-kind": kind, "audit-time": span } = parts;
  let rows = [];
  let before = null;
  let asked = 0;
  let entered = false;

  const time = (text) => fullTime(new Date(text));
  const how = (row) => {
    const word = row.how || row.kind;
    const said = t(WORDS[word] ?? word);
    return row.count > 1 ? `${said} × ${row.count}` : said;
  };
  const sent = ({ bytes }) => (bytes === null ? "" : `${fixed(bytes / MIB, 1)} MiB`);
  const duration = (row) => (row.since === row.until ? "" : lasted(row.lasted_s));
  const ending = (row) => (row.until === null ? t("open") : row.reason);

  function fill(row) {
    const node = document.createElement("tr");
    const who = row.by === "client" ? "–" : row.user;
    const cells = [time(row.since), who, row.camera ?? "", how(row), duration(row), sent(row)];
    for (const text of [...cells, row.client, row.device, ending(row)]) say(node.insertCell(), text);
    return node;
  }

  function show() {
    parts["audit-rows"].replaceChildren(...rows.map(fill));
    parts["audit-table"].hidden = parts["audit-csv"].disabled = rows.length === 0;
    parts["audit-more"].hidden = before === null;
    const lanes = lanesOf(rows, clock.now());
    draw(parts["audit-plot"], lanes, {
      words: (bar) => `${bar.camera ?? ""} ${time(bar.from)} – ${bar.open ? t("open") : time(bar.to)}`,
      time,
    });
    set(parts["audit-plot"], "aria-label", t("Viewing by user over time; the table has the same rows"));
    const more = before === null ? "" : t("There are older ones.");
    const shown = t("{count} rows.", { count: rows.length });
    say(parts["audit-note"], rows.length ? `${shown} ${more}`.trim() : more || t("No rows match."));
  }

  function address() {
    const url = new URL("api/audit", base);
    const wanted = { user: user.value.trim(), camera: camera.value, kind: kind.value };
    for (const [name, value] of Object.entries(wanted)) if (value) url.searchParams.set(name, value);
    if (span.value) url.searchParams.set("from", new Date(clock.live() - Number(span.value) * 1000).toISOString());
    url.searchParams.set("limit", String(PAGE));
    return url;
  }

  // The newest question wins.
  async function load(url, kept) {
    const number = (asked += 1);
    say(parts["audit-note"], t("Requesting…"));
    try {
      const page = await askJson(url);
      if (number !== asked) return;
      rows = [...kept, ...page.rows];
      before = page.next;
      show();
    } catch (error) {
      if (number === asked) say(parts["audit-note"], problemOf(error));
    }
  }

  let question = null;
  const search = () => load((question = address()), []);

  function older() {
    const url = new URL(question);
    url.searchParams.set("before", String(before));
    parts["audit-show"].focus();
    return load(url, rows);
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
    link.download = "banken-audit.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  on(parts["audit-form"], "submit", (event) => {
    event.preventDefault();
    search();
  });
  on(parts["audit-more"], "click", older);
  on(parts["audit-csv"], "click", save);

  return {
    state({ cameras }) {
      if (!entered || cameras.length === camera.options.length - 1) return;
      const chosen = camera.value;
      camera.replaceChildren(camera.options[0], ...cameras.map(({ id, title }) => new Option(title, id)));
      camera.value = chosen;
    },
    enter() {
      entered = true;
      search();
    },
    leave: () => (entered = false),
  };
}

export const panel = definePanel({
  id: "audit",
  title: n("Audit"),
  needs: "inspect",
  past: false,
  words: JA,
  shortcuts: [{ keys: ["u"], says: n("audit") }],
  mount: (root, { base, clock }) => createAudit({ root, base, clock }),
});
