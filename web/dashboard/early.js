// Runs before the first paint: a remembered theme must not flash the other one, nor one language the other.
try {
  const theme = localStorage.getItem("banken.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("banken.language") ?? navigator.language;
  // Until the words are there; main.js takes it away.
  if (language.startsWith("ja")) document.documentElement.dataset.unspoken = "";
} catch {
  // Storage may be forbidden; the system's preference then decides.
}
