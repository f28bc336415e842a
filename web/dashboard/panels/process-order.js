// In which order the processes stand, and how many each camera has. Pure.

const VALUE = {
  camera: ({ camera }) => camera ?? "",
  purpose: ({ purpose }) => purpose,
  state: ({ state }) => state,
  pid: ({ pid }) => pid ?? Infinity,
  parent: ({ parent }) => parent ?? Infinity,
  age: ({ age_s: age }) => age,
  arguments: ({ arguments: words }) => words.join(" "),
};

export const COLUMNS = Object.keys(VALUE);

// The first press of a column shows what one looks for there: the oldest, else the beginning of the alphabet.
export const FIRST_DOWN = new Set(["age"]);

export const press = (sort, by) => ({ by, down: sort.by === by ? !sort.down : FIRST_DOWN.has(by) });

// What does not die stands on top, whatever the order.
export function arrange(processes, { by, down }) {
  const value = VALUE[by];
  const stuck = ({ state }) => Number(state === "unkillable");
  return [...processes].sort((a, b) => {
    const [x, y] = down ? [value(b), value(a)] : [value(a), value(b)];
    return stuck(b) - stuck(a) || (x < y ? -1 : x > y ? 1 : a.id < b.id ? -1 : 1);
  });
}

// → [camera, how many], by name.
export function counts(processes) {
  const found = new Map();
  for (const { camera } of processes) found.set(camera, (found.get(camera) ?? 0) + 1);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}
