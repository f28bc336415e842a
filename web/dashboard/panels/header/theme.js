// Dark or light: the system's preference until the user chooses.
import { on, set } from "../../dom.js";
import { t } from "../../i18n.js";
import { remember } from "../../storage.js";

export function attachTheme(button) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");
  const current = () => root.dataset.theme ?? (system.matches ? "light" : "dark");
  const label = () =>
    set(button, "aria-label", current() === "dark" ? t("Switch to the light theme") : t("Switch to the dark theme"));

  function toggle() {
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    remember(localStorage, "banken.theme", root.dataset.theme);
    label();
  }

  on(button, "click", toggle);
  on(system, "change", label);
  label();
  return { toggle };
}
