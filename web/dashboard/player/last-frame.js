// Keeps the last picture on a canvas under the video, so that a reconnect dims the picture and does not turn it black.

const WIDTH = 640;

export function keepLastFrame(video, canvas) {
  if (!video.videoWidth) return;
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
}

export function dropLastFrame(canvas) {
  canvas.width = canvas.height = 0;
}
