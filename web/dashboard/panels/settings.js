// What somebody may choose for this browser: the language, what a suggestion does in a hidden tab, and back to how it was.
import { $, on } from "../dom.js";
import { chooseLanguage, chosenLanguage, LANGUAGES } from "../i18n.js";
import { recall, remember } from "../storage.js";

const HIDDEN = "banken.suggest.hidden";

export const stopsHidden = () => recall(localStorage, HIDDEN) === "stop";

export function createSettings({ onReset, reload }) {
  const dialog = $("settings-dialog");
  const language = $("language");
  const hidden = $("suggest-hidden");

  language.append(...Object.entries(LANGUAGES).map(([tag, name]) => new Option(name, tag)));
  language.value = chosenLanguage() ?? "";
  hidden.checked = stopsHidden();

  const toggle = () => (dialog.open ? dialog.close() : dialog.showModal());
  on($("settings"), "click", toggle);
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  // Words are chosen once, when the page is loaded.
  on(language, "change", () => {
    chooseLanguage(language.value || null);
    reload();
  });
  on(hidden, "change", () => remember(localStorage, HIDDEN, hidden.checked ? "stop" : null));
  on($("layout-reset"), "click", onReset);
  return { toggle };
}
