// The view of viewers and of the leases they watch under, and the operator's way to end one: the lease with
// all that watches under it, or a connection without a lease.
import { ask, Refusal } from "../ask.js";
import { $, on, say, set } from "../dom.js";
import { ago, inSeconds } from "../format.js";
import { t } from "../i18n.js";
import { REFUSAL } from "../past/view.js";
import { createRows } from "../rows.js";
import { KINDS, viewingOf } from "./viewing.js";

// `own()` names the connections of this page.
export function createViewers({ base, clock, own }) {
  const dialog = $("kick-dialog");
  const problem = $("kick-problem");
  const draw = createRows($("viewer-rows"), { key: ({ id }) => id, create: row, fill });
  let viewers = [];
  let count = 0;
  let listed = false; // whether the list is there yet
  let asked = null;
  let entered = false;
  let past = false;

  function row({ id }) {
    const node = document.createElement("tr");
    for (const column of ["camera", "client", "purpose", "state", "age", "lease", "own", "kick"]) set(node.insertCell(), "data-column", column);
    const button = Object.assign(document.createElement("button"), { type: "button", className: "kick", textContent: t("End") });
    on(button, "click", () => askFirst(id));
    node.cells[7].append(button);
    return node;
  }

  function fill(node, { camera, client, purpose, kind, state, opened, until, peers, lease }) {
    const now = clock.now();
    const why = [kind && t(KINDS[kind] ?? kind), purpose].filter(Boolean).join(": ");
    const left = until === null ? "" : t("{time} left", { time: inSeconds(Date.parse(until) - now) });
    const mine = peers.some((id) => own().has(id)) ? t("this page") : "";
    const values = [camera, client, why, t(state), ago(now - Date.parse(opened)), left, mine];
    values.forEach((value, index) => say(node.cells[index], value));
    set(node, "data-state", state);
    set(node.cells[4], "title", t("opened {time}", { time: opened }));
    const button = node.cells[7].firstElementChild;
    set(button, "aria-label", t("End the connection of {client} to {camera}", { client, camera }));
    button.hidden = !lease && peers.length === 0;
    button.disabled = past || state === "closing";
    set(button, "title", past ? t(REFUSAL) : null);
  }

  function show() {
    say($("viewer-total"), String(count));
    if (!entered || !listed) return;
    draw(viewers);
    $("viewer-table").hidden = viewers.length === 0;
    say($("viewer-note"), viewers.length ? "" : past ? t("Nobody watched.") : t("Nobody watches."));
  }

  function askFirst(id) {
    asked = viewers.find((viewer) => viewer.id === id) ?? null;
    if (!asked) return;
    say($("kick-text"), t("{client} watches {camera}. Its page will say that an operator ended the connection, and will not come back by itself.", asked));
    say(problem, "");
    dialog.showModal();
  }

  async function kick() {
    if (!asked) return;
    const paths = asked.lease ? [`api/leases/${asked.lease}`] : asked.peers.map((peer) => `api/peers/${encodeURIComponent(peer)}`);
    const said = await Promise.all(paths.map(end)).catch((error) => error);
    if (said instanceof Refusal) return say(problem, said.reason);
    if (said instanceof Error) return say(problem, t("The server did not answer."));
    dialog.close();
    // Its button goes away with its row.
    document.getElementById("view-viewers").focus();
  }

  // One that has left meanwhile is as good as ended.
  const end = (path) =>
    ask(new URL(path, base), { method: "DELETE" }).catch((error) => {
      if (error.status !== 404) throw error;
    });

  on($("kick-confirm"), "click", kick);
  on(dialog, "close", () => (asked = null));
  clock.onTick(show);

  return {
    state(message) {
      listed = Boolean(message.leases && message.peers);
      viewers = listed ? viewingOf(message) : [];
      count = message.counts?.viewers ?? viewers.length;
      show();
    },
    past: (is) => (past = is),
    enter() {
      entered = true;
      show();
    },
    leave: () => (entered = false),
  };
}
