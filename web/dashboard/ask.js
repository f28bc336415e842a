// Requests to the API. Rules of this file:
// 1. What passes by itself (no answer, 408, 429, 5xx) is asked three times, with growing waits; the rest once.
// 2. A `signal` that is aborted leaves neither request nor timer.
// 3. Refusals carry the server's own words.
import { t } from "./i18n.js";
import { passes } from "./player/table.js";

export const TRIES = 3;
const TIMEOUT_MS = 10_000;
const FIRST_MS = 500;

export class Refusal extends Error {
  constructor(status, reason, { retryAfter = 0, problem = {} } = {}) {
    super(reason);
    Object.assign(this, { status, reason, retryAfter, problem });
  }
}

// → what `read` makes of the response, whose status is below 400. Raises Refusal (the server said no), or TypeError,
// TimeoutError or AbortError (nobody answered, in time, or was to).
export async function ask(url, { tries = TRIES, timeout = TIMEOUT_MS, signal = null, read = (response) => response, ...options } = {}) {
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
  const timer = setTimeout(() => control.abort(new DOMException("the server did not answer in time", "TimeoutError")), timeout);
  signal?.addEventListener("abort", giveUp);
  try {
    const response = await fetch(url, { ...options, signal: control.signal });
    if (response.status >= 400) throw await refusalOf(response);
    return await read(response);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

export async function refusalOf(response) {
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail || problem.title || t("the server answered {status}", { status: response.status });
  return new Refusal(response.status, reason, { retryAfter: parseRetryAfter(response.headers.get("Retry-After"), Date.now()), problem });
}

// Seconds, or an HTTP date (RFC 9110, 10.2.3) → seconds from now.
export function parseRetryAfter(value, now) {
  if (!value) return 0;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}

// Whether the server does not have this part at all: an unknown path, not an unknown thing (RFC 9457, 4.2.1).
export const isAbsent = ({ status, problem }) =>
  (status === 404 || status === 405) && (problem.type ?? "about:blank") === "about:blank" && problem.reason === undefined;

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
