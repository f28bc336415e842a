// Requests to the API. Rules of this file:
// 1. After a transient failure (no answer, 408, 429, 5xx) there are up to three tries with growing waits, else one.
// 2. An aborted `signal` leaves neither a request nor a timer.
// 3. A refusal carries the server's words, silence those of this page. The browser's words for either are not shown.
import { t } from "./i18n.js";
import { passes } from "./player/table.js";

export const TRIES = 3;
const TIMEOUT_MS = 10_000;
const FIRST_MS = 500;

export class Refusal extends Error {
  /** @param {number} status @param {string} reason @param {{retryAfter?: number, problem?: any}} more */
  constructor(status, reason, { retryAfter = 0, problem = {} } = {}) {
    super(reason);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
    this.problem = problem;
  }
}

// TypeScript 4.8 does not know `AbortSignal.timeout`.
/** @type {(milliseconds: number) => AbortSignal} */
export const endsAfter = (milliseconds) => /** @type {any} */ (AbortSignal).timeout(milliseconds);

// No answer arrived, or only a part of it. `cause` is the browser's error.
export class Silence extends Error {}

/**
 * → the result of `read` for a response with a status below 400. Raises Refusal (the server refused), Silence (no
 * answer, or not in time), or the reason of `signal`.
 *
 * @param {URL | string} url
 * @param {RequestInit & {tries?: number, timeout?: number, read?: (response: Response) => any}} options
 */
export async function ask(
  url,
  { tries = TRIES, timeout = TIMEOUT_MS, signal = null, read = (response) => response, ...options } = {},
) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(url, { timeout, signal, read, options });
    } catch (error) {
      if (attempt === tries || signal?.aborted || (error instanceof Refusal && !passes(error.status))) throw error;
      await pause(Math.max(FIRST_MS * 2 ** (attempt - 1), (error.retryAfter ?? 0) * 1000), signal);
    }
  }
}

export const askJson = (url, options) => ask(url, { ...options, read: (response) => response.json() });

async function once(url, { timeout, signal, read, options }) {
  const control = new AbortController();
  const giveUp = () => control.abort(signal.reason);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    control.abort();
  }, timeout);
  signal?.addEventListener("abort", giveUp);
  try {
    const response = await fetch(url, { ...options, signal: control.signal });
    if (response.status >= 400) throw await refusalOf(response);
    return await read(response);
  } catch (error) {
    if (error instanceof Refusal || signal?.aborted) throw error;
    throw new Silence(late ? t("banken did not answer in time") : t("banken does not answer"), { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

let unauthorized = () => {};

// `listener()`: the server does not know who asks.
export const onUnauthorized = (listener) => (unauthorized = listener);

export async function refusalOf(response) {
  if (response.status === 401) unauthorized();
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail || problem.title || t("the server answered {status}", { status: response.status });
  return new Refusal(response.status, reason, {
    retryAfter: parseRetryAfter(response.headers.get("Retry-After"), Date.now()),
    problem,
  });
}

// Seconds, or an HTTP date (RFC 9110, 10.2.3) → seconds from now.
export function parseRetryAfter(value, now) {
  if (!value) return 0;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}

// Whether the server lacks this part of the API: an unknown path, not an unknown resource (RFC 9457, 4.2.1).
export const isAbsent = ({ status, problem }) =>
  (status === 404 || status === 405) &&
  (problem.type ?? "about:blank") === "about:blank" &&
  problem.reason === undefined;

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
