// What stands behind # in the address: a view, a moment, and a camera, as in #timeline&at=481. Each may be missing.

const NAMED = ["at", "camera"];

// Pure; → {view, at, camera}, null for what is not named.
export function parse(hash) {
  const found = { view: null, at: null, camera: null };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const name = NAMED.find((each) => part.startsWith(`${each}=`));
    if (name) found[name] = decode(part.slice(name.length + 1)) || null;
    else if (part) found.view = part;
  }
  return found;
}

export const format = ({ view, ...named }) =>
  [view, ...NAMED.map((name) => named[name] && `${name}=${name === "at" ? named[name] : encodeURIComponent(named[name])}`)].filter(Boolean).join("&");

export const read = () => parse(location.hash);

// Changes one and keeps the others; the page's history does not grow by it.
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
