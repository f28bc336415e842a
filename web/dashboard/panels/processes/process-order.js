// The order of the processes, and the number of processes of each camera. Pure.

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

// The first press of a column sorts for the likely question: the oldest first, otherwise alphabetically.
export const FIRST_DOWN = new Set(["age"]);

export const press = (sort, by) => ({ by, down: sort.by === by ? !sort.down : FIRST_DOWN.has(by) });

// Unkillable processes are on top, in any order.
export function arrange(processes, { by, down }) {
  const value = VALUE[by];
  const stuck = ({ state }) => Number(state === "unkillable");
  return [...processes].sort((a, b) => {
    const [x, y] = down ? [value(b), value(a)] : [value(a), value(b)];
    return stuck(b) - stuck(a) || (x < y ? -1 : x > y ? 1 : a.id < b.id ? -1 : 1);
  });
}

// → [camera, count] in the order of `ids`; processes of none of these cameras come first.
export function counts(processes, ids) {
  const found = new Map();
  for (const { camera } of processes) found.set(camera, (found.get(camera) ?? 0) + 1);
  const places = new Map(ids.map((id, place) => [id, place]));
  const place = (id) => places.get(id) ?? -1;
  return [...found].sort(([a], [b]) => place(a) - place(b));
}
