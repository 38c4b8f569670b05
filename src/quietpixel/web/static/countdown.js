// The time left of some work, from the share that is done.

export class Countdown {
  constructor(now = performance.now()) {
    this.start = now;
    this.share = 0;
    this.end = this.shown = null;
  }

  update(share, now = performance.now()) {
    if (share <= this.share) return;
    this.share = share;
    const end = this.start + (now - this.start) / share;
    // Progress comes in jumps of a tile, so each estimate moves the end by a third of the difference.
    this.end = this.end === null ? end : this.end + (end - this.end) / 3;
  }

  // Milliseconds left, or null while nobody knows. They count down between two updates, and up
  // only where the work takes half as long again as was said.
  left(now = performance.now()) {
    if (this.end === null) return null;
    const left = Math.max(0, this.end - now);
    if (this.shown === null || left < this.shown || left > 1.5 * this.shown + 2000) this.shown = left;
    return this.shown;
  }
}
