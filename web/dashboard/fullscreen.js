// Full screen for the large view's picture, else for the whole wall.

export function toggleFullscreen() {
  if (document.fullscreenElement) return void document.exitFullscreen().catch(() => {});
  const target = document.querySelector("dialog.large[open] .picture") ?? document.documentElement;
  target.requestFullscreen?.().catch(() => {});
}
