// Bounds that are being changed, within a film; nothing is stored until somebody says so.

export class Draft {
  /** @param {{start: number, end: number, numFrames: number}} place end exclusive */
  constructor({ start, end, numFrames }) {
    this.before = { start, end };
    this.start = start;
    this.end = end;
    this.numFrames = numFrames;
  }

  get isChanged() { return this.start !== this.before.start || this.end !== this.before.end; }

  /** Move a bound as far as it can go. @param {"start" | "end"} which @param {number} frame the end's is exclusive */
  move(which, frame) {
    if (which === "start") this.start = Math.max(0, Math.min(frame, this.end - 1));
    else this.end = Math.max(this.start + 1, Math.min(frame, this.numFrames));
  }

  /** This frame is the first or the last one. @param {"start" | "end"} which @param {number} frame */
  place(which, frame) { this.move(which, which === "start" ? frame : frame + 1); }

  /** @param {"start" | "end"} which @param {number} count */
  nudge(which, count) { this.move(which, this[which] + count); }

  restore() { Object.assign(this, this.before); }
}
