// The view of viewers and of the leases that they watch under, and the operator's means to end one. That is the lease
// with everything under it, or a connection without a lease. While banken is away, the view shows those of before.
import { ask, Refusal } from "../../ask.js";
import { $, on, say, set } from "../../dom.js";
import { ago, inSeconds, stateWords } from "../../format.js";
import { n, t } from "../../i18n.js";
import { REFUSAL, UNKNOWN } from "../past/view.js";
import { createRows } from "../../rows.js";
import { AWAY } from "../wall/retry.js";
import { endingOf, KINDS, viewingOf, watching } from "./viewing.js";
import { definePanel } from "../../panel.js";
import { JA } from "./viewers.ja.js";

// `own()` → the connections of this page.
export function createViewers({ root, base, clock, own }) {
  const dialog = $("kick-dialog");
  const problem = $("kick-problem");
  const draw = createRows($("viewer-rows"), { key: ({ id }) => id, create: row, fill });
  let viewers = [];
  let count = 0;
  let listed = false; // whether the list has arrived
  let asked = null;
  let entered = false;
  let past = false;
  let unknown = false;

  function row({ id }) {
    const node = document.createElement("tr");
    for (const column of ["camera", "client", "purpose", "state", "age", "lease", "own", "kick"])
      set(node.insertCell(), "data-column", column);
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      className: "kick",
      textContent: t("End"),
    });
    on(button, "click", () => askFirst(id));
    node.cells[7].append(button);
    return node;
  }

  const isMine = ({ peers }) => peers.some((id) => own().has(id));

  function fill(node, { camera, client, purpose, kind, state, opened, until, peers, lease }) {
    const now = clock.now();
    const why = [kind && t(KINDS[kind] ?? kind), purpose].filter(Boolean).join(": ");
    const left =
      until === null || clock.isSilent() ? "" : t("{time} left", { time: inSeconds(Date.parse(until) - now) });
    const mine = isMine({ peers }) ? t("this page") : "";
    const values = [
      camera,
      client,
      why,
      stateWords(state, clock.isSilent()),
      ago(now - Date.parse(opened)),
      left,
      mine,
    ];
    values.forEach((value, index) => say(node.cells[index], value));
    set(node, "data-state", state);
    set(node.cells[4], "title", t("opened {time}", { time: opened }));
    const button = node.cells[7].firstElementChild;
    const what = lease
      ? t("End the lease of {client} on {camera}", { client, camera })
      : t("End the connection of {client} to {camera}", { client, camera });
    set(button, "aria-label", what);
    set(button, "data-needs", lease && mine ? "watch" : "operate");
    button.hidden = !lease && peers.length === 0;
    button.disabled = past || clock.isSilent() || state === "closing";
    set(button, "title", past ? t(REFUSAL) : clock.isSilent() ? t(AWAY) : null);
  }

  function show() {
    say($("viewer-total"), unknown || clock.isSilent() ? "–" : String(count));
    if (!entered) return;
    if (listed) draw(viewers);
    $("viewer-table").hidden = viewers.length === 0;
    say($("viewer-note"), viewers.length ? "" : listed ? nobody() : asking());
  }

  const nobody = () => (unknown ? t(UNKNOWN) : past || clock.isSilent() ? t("Nobody watched.") : t("Nobody watches."));

  const asking = () =>
    clock.isSilent() ? t("It could not be read: {reason}", { reason: t("banken does not answer") }) : t("Requesting…");

  function askFirst(id) {
    asked = viewers.find((viewer) => viewer.id === id) ?? null;
    if (!asked) return;
    const { title, text } = endingOf(asked, isMine(asked));
    say($("kick-title"), t(title));
    say($("kick-text"), t(text, asked));
    say(problem, "");
    dialog.showModal();
  }

  async function kick() {
    if (!asked) return;
    const paths = asked.lease
      ? [`api/leases/${asked.lease}`]
      : asked.peers.map((peer) => `api/peers/${encodeURIComponent(peer)}`);
    const said = await Promise.all(paths.map(end)).catch((error) => error);
    if (said instanceof Refusal) return say(problem, said.reason);
    if (said instanceof Error) return say(problem, t("The server did not answer."));
    dialog.close();
    // The button disappears with its row.
    root.focus();
  }

  // A viewer that has left in the meantime counts as ended.
  const end = (path) =>
    ask(new URL(path, base), { method: "DELETE" }).catch((error) => {
      if (error.status !== 404) throw error;
    });

  on($("kick-confirm"), "click", kick);
  on(dialog, "close", () => (asked = null));
  clock.onTick(show);

  return {
    state(message) {
      unknown = Boolean(message.unknown);
      listed = Boolean(message.leases && message.peers);
      viewers = listed ? viewingOf(message) : [];
      count = watching(message.cameras);
      show();
    },
    inPast: (is) => (past = is),
    enter() {
      entered = true;
      show();
    },
    leave: () => (entered = false),
  };
}

export const panel = definePanel({
  id: "viewers",
  needs: "inspect",
  title: n("Viewers"),
  past: true,
  words: JA,
  count: "viewer-total",
  listed: true,
  shortcuts: [{ keys: ["v"], says: n("viewers") }],
  mount(root, { base, clock, panels }) {
    const own = () => new Set([panels.wall, panels.large, panels.suggest].flatMap((one) => [...(one?.peers() ?? [])]));
    return createViewers({ root, base, clock, own });
  },
});
