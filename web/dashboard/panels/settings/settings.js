// Choices for this browser: the language, the behaviour of a suggestion in a hidden tab, and a reset of the layout.
import { $, on } from "../../dom.js";
import { chooseLanguage, chosenLanguage, LANGUAGES, n } from "../../i18n.js";
import { recall, remember } from "../../storage.js";
import { definePanel } from "../../panel.js";
import { JA } from "./settings.ja.js";

const HIDDEN = "banken.suggest.hidden";

export const stopsHidden = () => recall(localStorage, HIDDEN) === "stop";

export function createSettings({ dialog, onReset, reload }) {
  const language = $("language");
  const hidden = $("suggest-hidden");

  language.append(...Object.entries(LANGUAGES).map(([tag, name]) => new Option(name, tag)));
  language.value = chosenLanguage() ?? "";
  hidden.checked = stopsHidden();

  const toggle = () => (dialog.open ? dialog.close() : dialog.showModal());
  on($("settings"), "click", toggle);
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  // The language is applied once, when the page is loaded.
  on(language, "change", () => {
    chooseLanguage(language.value || null);
    reload();
  });
  on(hidden, "change", () => remember(localStorage, HIDDEN, hidden.checked ? "stop" : null));
  on($("layout-reset"), "click", onReset);
  return { toggle };
}

export const panel = definePanel({
  id: "settings",
  title: n("Settings"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [{ keys: [","], says: n("settings"), run: (settings) => settings.toggle() }],
  mount: (root, { layout }) => createSettings({ dialog: root, onReset: layout.reset, reload: () => location.reload() }),
});
