// The forms of accounts: one request for each press, and the reason of a refusal in words.
import { ask, Refusal } from "./ask.js";
import { on, say } from "./dom.js";
import { inSeconds } from "./format.js";
import { t } from "./i18n.js";

const FORBIDDEN = "urn:banken:problem:forbidden";

// Why a request has failed. `forbidden`: the words for a wrong password. Pure.
/** @param {any} error @param {string} forbidden */
export function problemOf(error, forbidden = "") {
  if (!(error instanceof Refusal)) return error.message;
  if (error.status === 429)
    return t("Too many tries. Try again in {time}.", { time: inSeconds(error.retryAfter * 1000) });
  return forbidden && error.problem.type === FORBIDDEN ? forbidden : error.reason;
}

// Sends JSON, once. → the answer; null for an empty one. Raises as `ask`.
/** @param {URL} url @param {string} method @param {any} body */
export const send = (url, method, body = null) =>
  ask(url, {
    method,
    tries: 1,
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    read: (response) => (response.status === 204 ? null : response.json()),
  });

// Connects a form: `submit()` sends it, and `problem` shows why that failed. A second press waits for the first.
export function attachForm(form, problem, submit, forbidden = () => "") {
  let asking = false;

  async function press() {
    if (asking) return;
    asking = true;
    say(problem, "");
    await submit().catch((error) => say(problem, problemOf(error, forbidden())));
    asking = false;
  }

  return on(form, "submit", (event) => {
    event.preventDefault();
    press();
  });
}

export const LEAST = 8;

// Why a new password cannot be used; empty: it can. Pure.
export const passwordProblem = (text) =>
  text.length < LEAST ? t("A password has at least {count} characters.", { count: LEAST }) : "";
