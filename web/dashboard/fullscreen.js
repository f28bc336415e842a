// Full screen for the picture of the large view, whichever camera it displays; otherwise for the whole wall.

export function toggleFullscreen() {
  if (document.fullscreenElement) return void document.exitFullscreen().catch(() => {});
  const target = document.querySelector("dialog.large[open] .large-place") ?? document.documentElement;
  target.requestFullscreen?.().catch(() => {});
}
