// Remembered choices. Storage may be forbidden or full; then the page forgets them, and nothing else fails.

export function remember(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, value);
  } catch {
    // Nothing to do: the choice holds until the page is left.
  }
}

export function recall(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}
