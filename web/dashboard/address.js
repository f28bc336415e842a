// What stands behind # in the address: a view and a moment, as in #timeline&at=481. Both may be missing.

// Pure; → {view, at}, null for what is not named.
export function parse(hash) {
  const found = { view: null, at: null };
  for (const part of hash.replace(/^#/, "").split("&")) {
    if (part.startsWith("at=")) found.at = decode(part.slice(3)) || null;
    else if (part) found.view = part;
  }
  return found;
}

export const format = ({ view, at }) => [view, at && `at=${at}`].filter(Boolean).join("&");

export const read = () => parse(location.hash);

// Changes one and keeps the other; the page's history does not grow by it.
export function write(change) {
  const text = format({ ...read(), ...change });
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
