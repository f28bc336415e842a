// The part of the address after #: a view, a moment and a camera, as in #timeline&at=481. Each may be missing.

const NAMED = ["at", "camera"];

// Pure. → {view, at, camera}; a part that the address does not name is null.
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
  [
    view,
    ...NAMED.map((name) => named[name] && `${name}=${name === "at" ? named[name] : encodeURIComponent(named[name])}`),
  ]
    .filter(Boolean)
    .join("&");

// The address of a WebSocket of the server.
export function socketOf(path, base) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

// The complete address of a state of this page. Screen readers announce an address that begins with # as a skip link.
export const linkTo = (hash) => new URL(`#${hash}`, location.href).href;

export const read = () => parse(location.hash);

// Changes one part and keeps the others. Adds no entry to the page's history.
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
