// Full screen for the enlarged tile's picture, else for the whole wall.

export function toggleFullscreen() {
  if (document.fullscreenElement) return void document.exitFullscreen().catch(() => {});
  const target = document.querySelector(".tile.enlarged .picture") ?? document.documentElement;
  target.requestFullscreen?.().catch(() => {});
}
