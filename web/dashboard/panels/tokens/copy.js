// Copies what a field has, and says so.
import { say } from "../../dom.js";
import { t } from "../../i18n.js";

// The older way to copy: it needs no permission. Where it is refused, the user copies what is selected.
export function copyFrom(field, said) {
  field.focus();
  field.select();
  say(said, document.execCommand("copy") ? t("Copied.") : t("Press Ctrl+C to copy it."));
}
