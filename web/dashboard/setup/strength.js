// How hard a password is to guess. It is a hint: the server asks for the length alone.
import { passwordProblem } from "../forms.js";
import { t } from "../i18n.js";

const SHORT = 12;
const LONG = 16;
const FEW = 5;

// In words; empty for an empty password. Pure.
export function strengthOf(text) {
  if (!text) return "";
  if (passwordProblem(text)) return passwordProblem(text);
  if (text.length < SHORT || new Set(text).size < FEW)
    return t("Easy to guess. Longer is better: four words, for example.");
  return text.length < LONG ? t("Harder to guess. Longer is better.") : t("Hard to guess.");
}
