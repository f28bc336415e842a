// Parts of the browser that the dashboard uses and that the types of TypeScript 4.8 lack.
interface Array<T> {
  findLast(predicate: (value: T, index: number) => unknown): T | undefined;
}

interface ReadonlyArray<T> {
  findLast(predicate: (value: T, index: number) => unknown): T | undefined;
}

interface Window {
  /** For tests: the players and the links of rooms. */
  banken: Record<string, unknown>;
  /** The answer of `api/session`, requested by early.js; null: there was none. */
  bankenSession: Promise<any>;
  bankenLink: Promise<any> | undefined;
}
