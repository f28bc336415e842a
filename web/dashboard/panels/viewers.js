// The view of viewers, and the operator's way to end the connection of one. Who is sent still pictures holds no
// connection that could be ended for good: he is shown, and left alone.
import { $, on, say, set } from "../dom.js";
import { ago } from "../format.js";
import { REFUSAL } from "../past/view.js";
import { createRows } from "../rows.js";

// Peers and those who are sent still pictures, as one list. Pure.
export function viewersOf({ peers, uses = [] }) {
  const stills = uses.filter(({ kind }) => kind === "mjpeg");
  return [...peers, ...stills.map((use) => ({ ...use, state: "still pictures", opened: use.since, stays: true }))];
}

// `own()` names the connections of this page.
export function createViewers({ base, clock, own }) {
  const dialog = $("kick-dialog");
  const problem = $("kick-problem");
  const draw = createRows($("viewer-rows"), { key: ({ id }) => id, create: row, fill });
  let viewers = [];
  let asked = null;
  let entered = false;
  let past = false;

  function row({ id }) {
    const node = document.createElement("tr");
    for (const column of ["camera", "client", "state", "age", "own", "kick"]) set(node.insertCell(), "data-column", column);
    const button = Object.assign(document.createElement("button"), { type: "button", className: "kick", textContent: "End" });
    on(button, "click", () => ask(id));
    node.cells[5].append(button);
    return node;
  }

  function fill(node, { id, camera, client, state, opened, stays = false }) {
    const values = [camera, client, state, ago(clock.now() - Date.parse(opened)), own().has(id) ? "this page" : ""];
    values.forEach((value, index) => say(node.cells[index], value));
    set(node, "data-state", state);
    set(node.cells[3], "title", `opened ${opened}`);
    const button = node.cells[5].firstElementChild;
    set(button, "aria-label", `End the connection of ${client} to ${camera}`);
    button.hidden = stays;
    button.disabled = past || state === "closing";
    set(button, "title", past ? REFUSAL : null);
  }

  function show() {
    say($("viewer-total"), String(viewers.length));
    if (!entered) return;
    draw(viewers);
    $("viewer-table").hidden = viewers.length === 0;
    say($("viewer-note"), viewers.length ? "" : past ? "Nobody watched." : "Nobody watches.");
  }

  function ask(id) {
    asked = viewers.find((viewer) => viewer.id === id) ?? null;
    if (!asked) return;
    say($("kick-text"), `${asked.client} watches ${asked.camera}. Its page will say that an operator ended the connection, and will not come back by itself.`);
    say(problem, "");
    dialog.showModal();
  }

  async function kick() {
    if (!asked) return;
    const answer = await fetch(new URL(`api/peers/${encodeURIComponent(asked.id)}`, base), { method: "DELETE" }).catch(() => null);
    // One that has left meanwhile is as good as ended.
    if (answer?.ok || answer?.status === 404) {
      dialog.close();
      // Its button goes away with its row.
      return document.getElementById("view-viewers").focus();
    }
    const said = await answer?.json().catch(() => ({}));
    say(problem, said?.detail ?? "The server did not answer.");
  }

  on($("kick-confirm"), "click", kick);
  on(dialog, "close", () => (asked = null));
  clock.onTick(show);

  return {
    state(message) {
      viewers = viewersOf(message);
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
