// The page that a setup link opens: it makes the first user. Rules of this file:
// 1. The secret of the link is behind its `#`, where no server and no log sees it. It is sent in the body of a request.
// 2. The password leaves the page with its answer, and the link leaves the browser's history.
import { on, partsOf, say, set } from "../dom.js";
import { attachForm, passwordProblem, send } from "../forms.js";
import { speak, t } from "../i18n.js";
import { JA } from "./setup.ja.js";
import { strengthOf } from "./strength.js";

const CONFLICT = 409;

speak([JA]);

const parts = partsOf(document);
const {
  "setup-user": user,
  "setup-password": password,
  "setup-show": reveal,
  "setup-problem": problem,
  "setup-over": over,
} = parts;
const secret = () => location.hash.slice(1);

function wrongWith() {
  if (!secret()) return t("Open the whole link that the command banken setup-link prints.");
  if (!user.value.trim()) return t("Enter a name.");
  return passwordProblem(password.value);
}

async function save() {
  const wrong = wrongWith();
  if (wrong) return say(problem, wrong);
  const body = { secret: secret(), user: user.value.trim(), password: password.value };
  try {
    await send(new URL("api/setup", document.baseURI), "POST", body);
  } catch (error) {
    if (error.status !== CONFLICT) throw error;
    over.hidden = false;
    return say(problem, t("Somebody else has added the first user."));
  }
  password.value = "";
  location.replace(new URL("./", document.baseURI));
}

const refused = () => t("This link is wrong, was used, or is too old. The command banken setup-link prints a new one.");

attachForm(parts["setup-form"], problem, save, refused);
on(password, "input", () => say(parts["setup-strength"], strengthOf(password.value)));
on(reveal, "change", () => set(password, "type", reveal.checked ? "text" : "password"));
user.focus();
