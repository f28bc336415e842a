// The login by a passkey: by the button, or by a suggestion in the field for the name. Rules of this file:
// 1. The browser has one request at a time: the button ends the suggestion. It begins again if the user has cancelled.
// 2. A suggestion waits longer than its challenge is good, so it is renewed.
// 3. A suggestion that fails says nothing, except that the server has refused the passkey.
import { Refusal } from "../../ask.js";
import { on, say, set } from "../../dom.js";
import { problemOf } from "../../forms.js";
import { t } from "../../i18n.js";
import { browserProblem, canSuggest, logIn, whyNoneHere } from "../../webauthn.js";

const RENEWED_MS = 240_000;

// `entered()`: somebody has logged in.
export function createPasskeyLogin({ parts, base, entered }) {
  const { "login-passkey": root, "login-key": button, "login-key-problem": problem, "login-none": none } = parts;
  let running = null; // the request to the browser, as its AbortController
  let timer = null;
  let asking = false;

  async function press() {
    if (asking) return;
    asking = true;
    set(button, "aria-disabled", true);
    say(problem, "");
    const failed = await request(false);
    asking = false;
    set(button, "aria-disabled", null);
    if (failed) {
      say(problem, wordsOf(failed));
      if (!(failed instanceof Refusal)) suggest();
    }
  }

  // → why it failed; null: somebody has logged in, or another request took its place.
  async function request(isSuggestion) {
    end();
    const own = (running = new AbortController());
    try {
      await logIn(base, { signal: own.signal, suggest: isSuggestion });
    } catch (error) {
      return own.signal.aborted ? null : error;
    }
    end();
    await entered();
    return null;
  }

  async function suggest() {
    if (!(await canSuggest()) || asking) return;
    timer = setTimeout(suggest, RENEWED_MS);
    const failed = await request(true);
    if (failed instanceof Refusal && failed.status === 403) {
      end();
      say(problem, wordsOf(failed));
    }
  }

  function end() {
    clearTimeout(timer);
    running?.abort();
    running = null;
  }

  function wordsOf(error) {
    const cancelled = t("No passkey was used: it was cancelled, or this device has none for banken.");
    return browserProblem(error, cancelled) || problemOf(error, t("The passkey was not accepted. It may be removed."));
  }

  on(button, "click", press);

  return {
    begin() {
      const why = whyNoneHere();
      say(none, why);
      root.hidden = Boolean(why);
      say(problem, "");
      suggest();
    },
    end,
  };
}
