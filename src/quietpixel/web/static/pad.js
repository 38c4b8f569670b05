// The drawing area, and its way to an image as those of MNIST.

const SIDE = 28, BOX = 20; // MNIST: the digit fills 20 of 28 pixels, its mass lies in the middle
const PEN = 22; // of 280

export class Pad extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.wipe();
    this.listen();
  }

  wipe() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.empty = true;
    this.isExample = false;
    this.dispatchEvent(new Event("drawn"));
  }

  stroke(points) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = "#fff";
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    points.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (points.length === 1) context.lineTo(points[0][0] + 0.1, points[0][1]);
    context.stroke();
    this.empty = false;
  }

  draw(strokes) {
    this.wipe();
    const { width, height } = this.canvas;
    for (const points of strokes) this.stroke(points.map(([x, y]) => [x * width, y * height]));
    this.isExample = true;
    this.dispatchEvent(new Event("drawn"));
  }

  listen() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * this.canvas.width,
              ((event.clientY - box.top) / box.height) * this.canvas.height];
    };
    let last = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      last = place(event);
      if (this.isExample) this.wipe();
      this.stroke([last]);
      this.dispatchEvent(new Event("drawn"));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) {
        const now = place(each);
        this.stroke([last, now]);
        last = now;
      }
      this.dispatchEvent(new Event("drawn"));
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (last = null));
  }

  // The drawing as MNIST would show it: 784 numbers in [0, 1]; all 0 if nothing is drawn.
  read() {
    const { width, height } = this.canvas;
    const pixels = this.context.getImageData(0, 0, width, height).data;
    const box = bounds(pixels, width, height);
    if (!box) return new Float32Array(SIDE * SIDE);
    const scale = BOX / Math.max(box.width, box.height);
    const fitted = this.scaled(box, scale, (SIDE - box.width * scale) / 2, (SIDE - box.height * scale) / 2);
    const { x, y } = massCentre(fitted);
    const middle = (SIDE - 1) / 2;
    return this.scaled(box, scale,
      (SIDE - box.width * scale) / 2 + Math.round(middle - x), (SIDE - box.height * scale) / 2 + Math.round(middle - y));
  }

  scaled(box, scale, left, top) {
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.canvas, box.x, box.y, box.width, box.height, left, top, box.width * scale, box.height * scale);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    return Float32Array.from({ length: SIDE * SIDE }, (_, at) => data[4 * at] / 255);
  }
}

function bounds(pixels, width, height) {
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[4 * (y * width + x)] < 64) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return right < 0 ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function massCentre(image) {
  let mass = 0, x = 0, y = 0;
  image.forEach((value, at) => {
    mass += value;
    x += value * (at % SIDE);
    y += value * Math.floor(at / SIDE);
  });
  return { x: x / mass, y: y / mass };
}
