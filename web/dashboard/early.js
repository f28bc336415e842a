// Runs before the first paint, so that neither the other theme nor the other language flashes.
// Requested while the modules are loaded: access.js reads it. The page of the setup link has no session.
if (!("setup" in document.documentElement.dataset))
  window.bankenSession = openLink().then((refused) =>
    refused
      ? { user: null, role: null, rights: ["none"], scope: null, login: true, share: null }
      : fetch("api/session", { cache: "no-store" }).then(
          (response) => (response.ok ? response.json() : null),
          () => null,
        ),
  );
try {
  const theme = localStorage.getItem("banken.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("banken.language") ?? navigator.language;
  // Until the translation is applied; main.js removes it.
  if (language.startsWith("ja")) document.documentElement.dataset.unspoken = "";
} catch {
  // Storage may be forbidden; then the system's preference decides.
}

// The page of a link, at `s#SECRET`: the secret is sent once, leaves the address, and stays in this tab for a reload.
// → null; or why the link was not opened.
function openLink() {
  if (!/\/s$/.test(location.pathname)) return Promise.resolve(null);
  document.documentElement.dataset.share = "";
  const shown = /^#[\w-]+$/.test(location.hash) ? location.hash.slice(1) : "";
  let secret = shown;
  try {
    if (shown) sessionStorage.setItem("banken.link", shown);
    else secret = sessionStorage.getItem("banken.link") ?? "";
  } catch {
    // Storage may be forbidden; then the address keeps the secret.
    return sendLink(secret);
  }
  if (shown) history.replaceState(null, "", location.pathname + location.search);
  return sendLink(secret);
}

function sendLink(secret) {
  if (!secret) return Promise.resolve(null);
  window.bankenLink = fetch("api/session/share", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ secret }),
  }).then(
    (response) =>
      response.ok
        ? null
        : response.json().then(
            ({ type, detail }) => ({ status: response.status, type, detail }),
            () => ({ status: response.status }),
          ),
    () => ({ status: 0 }),
  );
  return window.bankenLink;
}
