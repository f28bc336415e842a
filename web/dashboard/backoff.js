// How long to wait before the feed tries again. Full jitter on the upper half: a hall of walls must not return as one.

export const BASE = 1000;
export const CAP = 30_000;

export function backoff(attempt, chance) {
  const ceiling = Math.min(CAP, BASE * 2 ** (attempt - 1));
  return ceiling * (0.5 + 0.5 * chance);
}
