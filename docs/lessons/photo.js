// The photograph of lessons 4 and 5: an image {data, width, height, channels: 1}, black 0 and white 1.

import { grayPixels } from "./engine/static/walk.js";

export async function readPhoto() {
  const picture = document.querySelector("img[src*='lesson-photo']");
  await picture.decode();
  const { naturalWidth: width, naturalHeight: height } = picture;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return { data: Float32Array.from({ length: width * height }, (_, at) => data[4 * at] / 255), width, height, channels: 1 };
}

export const addNoise = (image, sigma, normal) => ({ ...image, data: image.data.map((value) => value + sigma * normal()) });

// Paints the image and, where there is one, a frame {left, top, side}.
export function paintPhoto(canvas, { data, width, height }, frame, colour) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.putImageData(grayPixels(data, width, height), 0, 0);
  if (!frame) return;
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.strokeRect(frame.left - 1, frame.top - 1, frame.side + 2, frame.side + 2);
}

// Calls `use` with the pixel under the pointer while it is pressed, and moves by arrow keys.
export function followPointer(canvas, { use, at }) {
  const move = (event) => {
    const box = canvas.getBoundingClientRect();
    use(Math.floor(((event.clientX - box.left) / box.width) * canvas.width), Math.floor(((event.clientY - box.top) / box.height) * canvas.height));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && move(event));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = at();
    use(x + step[0], y + step[1]);
  });
}

export const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
