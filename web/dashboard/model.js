// How things stand, put together from what the server says: everything once, then what has changed. Rules of this file:
// 1. A state replaces the parts that it names; changes are fields of entities, and null is an entity that is gone.
// 2. Panels are shown whole messages, and never know of changes.
// 3. A server that says everything each time, in lists, is taken at its word.

// Lists that a page has to ask for, by what is to be shown.
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

  // Lists that are no longer asked for are dropped.
  function forget(views) {
    for (const [view, names] of Object.entries(VIEWS)) if (!views.has(view)) for (const name of names) held.delete(name);
  }

  // In order of a field; none where nobody asked for it.
  const list = (name, field) => (held.has(name) ? [...held.get(name).values()].sort((a, b) => (a[field] < b[field] ? -1 : a[field] > b[field] ? 1 : 0)) : undefined);

  // As a message that says everything: what is asked for in lists, the oldest first; of the rest `counts`. Null before the first state.
  function message(now) {
    if (whole) return whole;
    const daemon = held.get("summary")?.get("daemon");
    if (!daemon || !held.has("cameras")) return null;
    const { verdict, suggestion, viewers, rooms } = daemon;
    const health = [...held.get("health")].map(([part, entity]) => ({ part, ...entity }));
    return {
      type: "state", now, suggestion, counts: { viewers, rooms }, health: { verdict, parts: health },
      cameras: list("cameras", "id"), leases: list("leases", "since"), peers: list("peers", "opened"), rooms: list("rooms", "opened"),
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
