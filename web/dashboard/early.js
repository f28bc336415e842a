// Runs before the first paint, so that neither the other theme nor the other language flashes.
// Requested while the modules are loaded: access.js reads it. The page of the setup link has no session.
if (!("setup" in document.documentElement.dataset))
  window.bankenSession = fetch("api/session", { cache: "no-store" }).then(
    (response) => (response.ok ? response.json() : null),
    () => null,
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
