// Runs before the first paint: a remembered theme must not flash the other one.
try {
  const theme = localStorage.getItem("banken.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's preference then decides.
}
