// The keyboard, as a table. Each row: keys, what the help dialog says, and the name of the action main.js provides.
// In the large view only those act that have an action of their own there.
import { isTyping, on } from "./dom.js";

export const SHORTCUTS = [
  { keys: ["j", "ArrowRight"], says: "next camera", action: "next" },
  { keys: ["k", "ArrowLeft"], says: "previous camera", action: "previous" },
  { keys: ["ArrowDown"], says: "camera below", action: "below" },
  { keys: ["ArrowUp"], says: "camera above", action: "above" },
  { keys: ["Enter"], says: "enlarge, or back to the wall", action: "enlarge" },
  { keys: [" "], says: "play or pause; on the time bar, the past", action: "play" },
  { keys: ["m"], says: "sound on or off", action: "hear" },
  { keys: ["s"], says: "save a picture", action: "take" },
  { keys: ["e"], says: "only this camera’s events", action: "select" },
  { keys: ["f"], says: "full screen", action: "fullscreen" },
  { keys: ["r"], says: "in the large view: reconnect", action: "reconnect" },
  { keys: ["/"], says: "filter the journal", action: "filter" },
  { keys: ["l"], says: "follow or hold the journal", action: "follow" },
  { keys: ["p"], says: "processes", action: "processes" },
  { keys: ["d"], says: "devices", action: "devices" },
  { keys: ["v"], says: "viewers", action: "viewers" },
  { keys: ["x"], says: "detections", action: "detections" },
  { keys: ["t"], says: "timeline", action: "timeline" },
  { keys: ["o"], says: "rooms", action: "rooms" },
  { keys: ["["], says: "the event before", action: "back" },
  { keys: ["]"], says: "the next event", action: "on" },
  { keys: ["{"], says: "the failure before", action: "failureBack" },
  { keys: ["}"], says: "the next failure", action: "failureOn" },
  { keys: ["n"], says: "back to now", action: "now" },
  { keys: ["<"], says: "move this camera one place back", action: "earlier" },
  { keys: [">"], says: "move it one place on", action: "later" },
  { keys: ["a"], says: "arrange the cameras", action: "arrange" },
  { keys: [","], says: "settings", action: "settings" },
  { keys: ["T"], says: "dark or light", action: "theme" },
  { keys: ["?"], says: "this list", action: "help" },
  { keys: ["Escape"], says: "close what is open", action: "escape" },
];

// Keys a focused control needs for itself.
const OWN = new Set(["Enter", " "]);

export function attachShortcuts(actions, large) {
  const byKey = new Map(SHORTCUTS.flatMap(({ keys, action }) => keys.map((key) => [key, action])));

  return on(document, "keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    if (isTyping(target) && key !== "Escape") return;
    const dialog = document.querySelector("dialog[open]");
    if (dialog && !dialog.matches(".large")) return;
    if (OWN.has(key) && target.closest?.("button, a, summary, pre")) return;
    const act = (dialog ? large : actions)[byKey.get(key)];
    // An action that answers false had nothing to do; the key keeps its usual meaning.
    if (act && act(event) !== false) event.preventDefault();
  });
}
