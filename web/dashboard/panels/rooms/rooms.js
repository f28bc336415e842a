// The view of rooms: the open ones, and the one that this page is in, with video, audio and text of its participants.
// Closing the view does not leave the room; the button does, and so does leaving the page.
import { askJson } from "../../ask.js";
import { $, on, say, set } from "../../dom.js";
import { ago, plural } from "../../format.js";
import { n, t } from "../../i18n.js";
import { REFUSAL, UNKNOWN } from "../past/view.js";
import { createCall } from "./call.js";
import { openMedia } from "./media.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { JA } from "./rooms.ja.js";

const KEPT = 200;
const PLACES = 8;
const STATES = {
  new: n("calling"),
  connecting: n("connecting"),
  connected: n("connected"),
  disconnected: n("does not answer"),
  failed: n("cannot be reached"),
  closed: n("disconnected"),
};

export const short = (id) => id.slice(0, 8);

// The line of a room in the list. Pure.
export function roomLine({ participants, empty_since: empty }, now) {
  if (participants.length === 0)
    return t("empty for {time}; ends after a minute", { time: ago(now - Date.parse(empty)) });
  return `${plural(participants.length, "participant")}: ${participants.map(({ client }) => client).join(", ")}`;
}

export function createRooms({ base, clock }) {
  const problem = $("room-problem");
  const input = $("room-id");
  const people = $("room-people");
  const words = $("room-words");
  const drawRooms = createRows($("room-rows"), { key: ({ id }) => id, create: roomRow, fill: fillRoom });
  const drawPeople = createRows(people, { key: ({ id }) => id, create: personRow, fill: fillPerson });
  let rooms = [];
  let call = null;
  let stream = null;
  let count = 0;
  let entering = 0;
  let past = false;
  let unknown = false;

  async function enter(first) {
    if (call || past) return;
    const mine = (entering += 1);
    say(problem, "");
    draw();
    const [media, iceServers] = await Promise.all([openMedia(), readIceServers()]);
    // The room was left, or entered again, while the browser was asking.
    if (mine !== entering) return media.stream.getTracks().forEach((track) => track.stop());
    stream = media.stream;
    say(problem, media.problem);
    words.replaceChildren();
    call = createCall({
      base,
      first,
      stream,
      iceServers,
      onChange: draw,
      onText: (peer, text) => write(nameOf(peer), text),
      onProblem: (text) => say(problem, text),
      onEnd(text) {
        forget();
        say(problem, text);
      },
    });
    draw();
  }

  async function readIceServers() {
    const answer = await askJson(new URL("api/rooms", base), { tries: 1 }).catch(() => ({}));
    return (answer.ice_servers ?? []).map((urls) => ({ urls }));
  }

  function forget() {
    entering += 1;
    const room = call?.seat().room;
    if (room) input.value = room;
    call = null;
    stream = null;
    draw();
  }

  function leave() {
    call?.close();
    forget();
  }

  function nameOf(id) {
    if (id === call?.seat().self) return t("You");
    const known = rooms.flatMap(({ participants }) => participants).find((each) => each.id === id);
    return known ? `${known.client} (${short(id)})` : short(id);
  }

  function write(who, text) {
    const row = document.createElement("li");
    row.append(Object.assign(document.createElement("b"), { textContent: who }), ` ${text}`);
    words.append(row);
    while (words.children.length > KEPT) words.firstElementChild.remove();
    words.scrollTop = words.scrollHeight;
  }

  function draw() {
    const seat = call?.seat();
    const here = Boolean(seat?.room);
    drawRooms(rooms);
    say($("room-count"), here ? t("here") : unknown || clock.isSilent() ? "–" : String(count));
    say(
      $("room-note"),
      count
        ? ""
        : unknown
          ? t(UNKNOWN)
          : past || clock.isSilent()
            ? t("No room was open.")
            : t("No room is open. Create one, and anyone who opens this page can join it."),
    );
    for (const part of ["room-create", "room-join"]) {
      $(part).disabled = past || call !== null;
      set($(part), "title", past ? t(REFUSAL) : null);
    }
    $("room-call").hidden = !call;
    say($("room-title"), here ? seat.room : t("Joining…"));
    for (const [kind, part] of [
      ["audio", "room-mute"],
      ["video", "room-hide"],
    ]) {
      const [track] = stream?.getTracks().filter((each) => each.kind === kind) ?? [];
      $(part).disabled = !track;
      set($(part), "aria-pressed", Boolean(track && !track.enabled));
    }
    drawPeople(here ? seat.participants.map((id) => ({ id })) : []);
  }

  function roomRow({ id }) {
    const row = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: t("Join") });
    on(button, "click", () => enter({ type: "JoinRoom", room_id: id }));
    row.append(document.createElement("code"), document.createElement("span"), button);
    return row;
  }

  function fillRoom(row, room) {
    const [name, text, button] = row.children;
    say(name, short(room.id));
    set(name, "title", room.id);
    say(text, roomLine(room, clock.now()));
    set(button, "aria-label", t("Join room {id}", { id: short(room.id) }));
    button.disabled = past || call !== null || room.participants.length >= PLACES;
  }

  function personRow() {
    const row = document.createElement("li");
    const video = Object.assign(document.createElement("video"), { autoplay: true, playsInline: true });
    row.append(video, document.createElement("p"));
    return row;
  }

  function fillPerson(row, { id }) {
    const [video, text] = row.children;
    const own = id === call.seat().self;
    const link = call.links.get(id);
    const shown = own ? stream : link?.remote;
    if (shown && video.srcObject !== shown) {
      video.muted = own;
      video.srcObject = shown;
    }
    const state = own ? "connected" : (link?.state() ?? "new");
    set(row, "data-state", state);
    set(row, "data-own", own ? "" : null);
    say(text, own ? t("You") : `${nameOf(id)} ${t(STATES[state])}`);
  }

  function flip(kind) {
    for (const track of stream?.getTracks() ?? []) if (track.kind === kind) track.enabled = !track.enabled;
    draw();
  }

  clock.onSilence(draw);
  on($("room-create"), "click", () => enter({ type: "CreateRoom" }));
  on($("room-enter"), "submit", (event) => {
    event.preventDefault();
    const id = input.value.trim();
    if (id) enter({ type: "JoinRoom", room_id: id });
    else say(problem, t("Which room? Its id is shown on the page of each participant."));
  });
  on($("room-mute"), "click", () => flip("audio"));
  on($("room-hide"), "click", () => flip("video"));
  on($("room-leave"), "click", () => {
    leave();
    $("room-create").focus();
  });
  on($("room-say"), "submit", (event) => {
    event.preventDefault();
    const text = $("room-text").value.trim();
    if (!text || !call) return;
    call.say(text);
    write(t("You"), text);
    $("room-text").value = "";
  });

  return {
    state(message) {
      unknown = Boolean(message.unknown);
      rooms = message.rooms ?? [];
      count = message.counts?.rooms ?? rooms.length;
      draw();
    },
    inPast(is) {
      past = is;
      draw();
    },
    enter: draw,
    // The list has the names of the participants of a call.
    needed: () => call !== null,
    // The page is left: nothing of a call may continue.
    stop: leave,
    links: () => call?.links ?? new Map(),
  };
}

export const panel = definePanel({
  id: "rooms",
  needs: "room",
  title: n("Rooms"),
  past: true,
  words: JA,
  count: "room-count",
  listed: true,
  shortcuts: [{ keys: ["o"], says: n("rooms") }],
  mount: (_root, { base, clock }) => createRooms({ base, clock }),
});
