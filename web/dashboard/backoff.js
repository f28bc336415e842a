// The delay before the feed reconnects. Full jitter on the upper half: many walls must not return at the same time.

export const BASE = 1000;
export const CAP = 30_000;

export function backoff(attempt, chance) {
  const ceiling = Math.min(CAP, BASE * 2 ** (attempt - 1));
  return ceiling * (0.5 + 0.5 * chance);
}
