// The current state, built from the server's messages: everything once, then changes. Rules of this file:
// 1. A state replaces the parts that it names. Changes are fields of entities, and null removes an entity.
// 2. Panels receive complete messages and do not handle changes.
// 3. Complete messages of a server that sends everything as lists are used as they are.

// Lists that a page has to request, by the view that displays them.
export const VIEWS = { viewers: ["leases", "peers"], rooms: ["rooms"] };

export function createModel() {
  let held = new Map();
  let whole = null;

  function state(message) {
    whole = Array.isArray(message.cameras) ? message : null;
    for (const [name, entities] of partsOf(message)) held.set(name, new Map(Object.entries(entities)));
  }

  function changes(message) {
    for (const [name, entities] of partsOf(message)) {
      const known = held.get(name);
      if (!known) continue;
      for (const [id, fields] of Object.entries(entities)) {
        if (fields === null) known.delete(id);
        else known.set(id, { ...known.get(id), ...fields });
      }
    }
  }

  // Drops lists that are no longer requested.
  function forget(views) {
    for (const [view, names] of Object.entries(VIEWS))
      if (!views.has(view)) for (const name of names) held.delete(name);
  }

  // Sorted by a field; undefined where the list was not requested.
  const list = (name, field) =>
    held.has(name)
      ? [...held.get(name).values()].sort((a, b) => (a[field] < b[field] ? -1 : a[field] > b[field] ? 1 : 0))
      : undefined;

  // As a complete message: requested entities as lists, oldest first; `counts` for the others.
  // Null before the first state.
  function message(now) {
    if (whole) return whole;
    const daemon = held.get("summary")?.get("daemon");
    if (!daemon || !held.has("cameras")) return null;
    const { verdict, suggestions, viewers, rooms, refused = null } = daemon;
    const health = [...held.get("health")].map(([part, entity]) => ({ part, ...entity }));
    return {
      type: "state",
      now,
      suggestions,
      refused,
      counts: { viewers, rooms },
      health: { verdict, parts: health },
      cameras: list("cameras", "place"),
      leases: list("leases", "since"),
      peers: list("peers", "opened"),
      rooms: list("rooms", "opened"),
    };
  }

  return {
    state,
    changes,
    forget,
    message,
    clear() {
      held = new Map();
      whole = null;
    },
  };
}

const partsOf = ({ type, now, ...named }) => (Array.isArray(named.cameras) ? [] : Object.entries(named));
