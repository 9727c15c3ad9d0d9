// Which frames of a video were shown: all of them have to be before a video is done.

/** @typedef {[number, number]} Span half-open */

export class Seen {
  /** @type {Span[]} */ #news = [];
  /** @type {number | null} */ #previous = null;

  /** @param {number} numFrames @param {number} longestGap of frames that playing may leave out @param {Span[]} [spans] */
  constructor(numFrames, longestGap, spans = []) {
    this.longestGap = longestGap;
    this.frames = new Uint8Array(numFrames);
    this.count = 0;
    for (const span of spans) this.#add(span);
  }

  /** A picture was shown; while the film plays, those since the last one too. @param {number} frame @param {boolean} playing */
  show(frame, playing) {
    const last = this.#previous;
    this.#previous = frame;
    const goesOn = playing && last !== null && frame > last && frame - last <= this.longestGap;
    /** @type {Span} */ const span = [goesOn ? last : frame, frame + 1];
    if (this.#add(span) === 0) return;
    const end = this.#news.at(-1);
    if (end !== undefined && span[0] <= end[1] && span[0] >= end[0]) end[1] = Math.max(end[1], span[1]);
    else this.#news.push(span);
  }

  /** Spans that were not taken before. @returns {Span[]} */
  take() { return this.#news.splice(0, 1000); }

  /** The first frame that was not shown, or null. */
  get firstGap() {
    const place = this.count === this.frames.length ? -1 : this.frames.indexOf(0);
    return place < 0 ? null : place;
  }

  get missing() { return this.frames.length - this.count; }

  /** @param {Span} span @returns {number} how many are new */
  #add([start, end]) {
    const before = this.count;
    for (let frame = start; frame < Math.min(end, this.frames.length); frame += 1) {
      this.count += 1 - this.frames[frame];
      this.frames[frame] = 1;
    }
    return this.count - before;
  }
}
