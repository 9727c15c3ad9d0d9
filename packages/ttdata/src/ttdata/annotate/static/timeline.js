// The video as a line of integer frames: marks as bars, the frame shown, zoom down to single frames.
import { LANES, barsOf, firstInSight } from "./lanes.js";
import { isComplete } from "./marks.js";

/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {{id: string, which: "start" | "end"}} Bound */

const RULER = 18; // px
const GRIP = 6; // px around a bound that take hold of it
const OTHERS = 7; // px at the bottom, where others' marks are
const WIDEST_FRAME = 24; // px

/**
 * Calls `seek(frame)`, `select(id)` and `drag(id, which, frame)`; the last once, when a bound is let
 * go. Until then the bar is drawn where the bound would be.
 */
export class Timeline {
  #first = 0; // the frame at the left edge, with its fraction
  #perFrame = 0; // px
  #width = 0;
  #height = 0;
  #asked = false;
  /** @type {Mark[] | null} */ #marks = null;
  /** @type {ReturnType<typeof barsOf>} */ #laid = { bars: [], longest: 1 };
  /** @type {(Bound & {frame: number}) | null} */ #drag = null;
  #scrubs = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{numFrames: number, fps: number, marks: () => Mark[], selected: () => Mark | null,
   *   others?: () => {spans: {start: number, end: number}[], hints: number[]},
   *   frame: () => number | null, seek: (frame: number) => void, select: (id: string) => void,
   *   drag: (id: string, which: "start" | "end", frame: number) => void}} film
   */
  constructor(canvas, film) {
    this.canvas = canvas;
    this.film = film;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#up(true));
    canvas.addEventListener("pointercancel", () => this.#up(false));
    this.#resize();
  }

  /** Draw soon, once however often it is asked for. */
  ask() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.draw();
    });
  }

  /** Where a frame begins, in px from the left. @param {number} frame */
  xOf(frame) { return (frame - this.#first) * this.#perFrame; }

  /** The frame at a place. @param {number} x in px */
  frameAt(x) { return Math.max(0, Math.min(this.film.numFrames - 1, Math.floor(this.#first + x / this.#perFrame))); }

  /** @param {number} factor above 1: nearer @param {number} [x] the place that stays; else the frame shown */
  zoom(factor, x = this.xOf((this.film.frame() ?? 0) + 0.5)) {
    const place = Math.max(0, Math.min(this.#width, x));
    const at = this.#first + place / this.#perFrame;
    const least = this.#width / this.film.numFrames;
    this.#perFrame = Math.max(least, Math.min(Math.max(WIDEST_FRAME, least), this.#perFrame * factor));
    this.#scrollTo(at - place / this.#perFrame);
  }

  /** Bring a frame into sight. @param {number} frame */
  show(frame) {
    const x = this.xOf(frame);
    if (x < 0 || x + this.#perFrame > this.#width) this.#scrollTo(frame - this.#width / this.#perFrame / 4);
  }

  /** Show these frames and no others. @param {number} start @param {number} end exclusive */
  fit(start, end) {
    const least = this.#width / this.film.numFrames;
    this.#perFrame = Math.max(least, this.#width / Math.max(1, end - start));
    this.#scrollTo(start);
  }

  draw() {
    const { context, film } = this;
    const style = getComputedStyle(this.canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim() || "#888";
    context.fillStyle = colour("--track");
    context.fillRect(0, 0, this.#width, this.#height);
    this.#ruler(colour("--soft"), colour("--ink"));
    const fills = { whole: colour("--mark"), open: colour("--open"), chosen: colour("--chosen") };
    this.#bars(fills);
    this.#others(colour("--soft"), colour("--open"));
    const frame = film.frame();
    if (frame !== null) {
      context.fillStyle = colour("--now");
      context.fillRect(Math.round(this.xOf(frame)), 0, Math.max(2, this.#perFrame), this.#height);
    }
  }

  /** @param {string} soft @param {string} ink */
  #ruler(soft, ink) {
    const { context } = this;
    const least = 70 / this.#perFrame; // frames between numbers
    const step = [1, 2, 5].flatMap((digit) => Array.from({ length: 8 }, (_, power) => digit * 10 ** power))
      .sort((a, b) => a - b).find((frames) => frames >= least) ?? this.film.numFrames;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const last = this.frameAt(this.#width);
    for (let frame = Math.ceil(this.#first / step) * step; frame <= last; frame += step) {
      const x = Math.round(this.xOf(frame));
      context.fillStyle = soft;
      context.fillRect(x, 0, 1, RULER);
      context.fillStyle = ink;
      context.fillText(String(frame), x + 4, RULER / 2);
    }
  }

  /** @param {{whole: string, open: string, chosen: string}} fills */
  #bars(fills) {
    const { context, film } = this;
    const { bars, longest } = this.#layout();
    const height = (this.#height - RULER - 2) / LANES;
    const last = this.frameAt(this.#width);
    const chosen = film.selected();
    const drawn = new Array(LANES).fill(-1); // the last column of px that is filled, by lane
    context.fillStyle = fills.whole;
    let isWhole = true;
    for (let place = firstInSight(bars, this.#first, longest); place < bars.length && bars[place].start <= last; place += 1) {
      const { mark, start, end, lane } = bars[place];
      if (mark === chosen) continue;
      const left = Math.round(this.xOf(start));
      const right = Math.max(left + 2, Math.round(this.xOf(end)) - 1);
      if (right <= drawn[lane]) continue; // of many in a pixel one is seen
      drawn[lane] = right;
      if (isComplete(mark) !== isWhole) {
        isWhole = !isWhole;
        context.fillStyle = isWhole ? fills.whole : fills.open;
      }
      context.fillRect(left, RULER + 1 + lane * height, right - left, height - 2);
    }
    const found = chosen === null ? undefined : bars.find((bar) => bar.mark === chosen);
    if (found !== undefined) this.#chosen(found, fills.chosen, height);
  }

  /** What others marked lies below, as thin lines; where a model would look is a peg in the ruler. @param {string} line @param {string} peg */
  #others(line, peg) {
    const { context } = this;
    const { spans, hints } = this.film.others?.() ?? { spans: [], hints: [] };
    context.fillStyle = line;
    for (const { start, end } of spans) {
      const left = Math.round(this.xOf(start));
      context.fillRect(left, this.#height - OTHERS, Math.max(2, Math.round(this.xOf(end)) - left - 1), OTHERS - 2);
    }
    context.fillStyle = peg;
    for (const frame of hints) context.fillRect(Math.round(this.xOf(frame + 0.5)) - 2, RULER - 6, 4, 6);
  }

  /** @param {import("./lanes.js").Bar} bar @param {string} fill @param {number} height */
  #chosen({ mark, start, end, lane }, fill, height) {
    const drag = this.#drag?.id === mark.mark_id ? this.#drag : null;
    const left = Math.round(this.xOf(drag?.which === "start" ? drag.frame : start));
    const right = Math.max(left + 3, Math.round(this.xOf(drag?.which === "end" ? drag.frame : end)));
    this.context.fillStyle = fill;
    this.context.fillRect(left, RULER + 1 + lane * height, right - left, height - 2);
  }

  #layout() {
    const marks = this.film.marks();
    if (marks !== this.#marks) {
      this.#marks = marks;
      this.#laid = barsOf(marks);
    }
    return this.#laid;
  }

  #resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const before = this.#width;
    this.#width = Math.max(1, width);
    this.#height = height;
    // The same frames stay in sight: nobody who turns a telephone loses his place.
    this.#perFrame = Math.max(this.#width / this.film.numFrames, before > 0 ? this.#perFrame * this.#width / before : 0);
    this.#scrollTo(this.#first);
  }

  /** @param {number} first */
  #scrollTo(first) {
    this.#first = Math.max(0, Math.min(this.film.numFrames - this.#width / this.#perFrame, first));
    this.ask();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.#scrollTo(this.#first + (event.deltaX || event.deltaY) / this.#perFrame);
    } else this.zoom(Math.exp(-event.deltaY / 300), event.offsetX);
  }

  /** @param {number} x @param {number} y */
  #barAt(x, y) {
    const { bars, longest } = this.#layout();
    const lane = Math.floor(((y - RULER) * LANES) / (this.#height - RULER));
    const last = this.frameAt(x + GRIP);
    for (let place = firstInSight(bars, this.frameAt(x - GRIP), longest); place < bars.length && bars[place].start <= last; place += 1) {
      const bar = bars[place];
      if (bar.lane === lane && x >= this.xOf(bar.start) - GRIP && x <= this.xOf(bar.end) + GRIP) return bar;
    }
    return null;
  }

  /** @param {PointerEvent} event */
  #down({ offsetX: x, offsetY: y, pointerId, button }) {
    if (button !== 0) return;
    this.canvas.setPointerCapture(pointerId);
    const bar = y < RULER ? null : this.#barAt(x, y);
    if (bar === null) {
      this.#scrubs = true;
      this.film.seek(this.frameAt(x));
      return;
    }
    const { mark, start, end } = bar;
    if (mark === this.film.selected()) {
      const toStart = Math.abs(x - this.xOf(start));
      const toEnd = Math.abs(x - this.xOf(end));
      const which = toStart < toEnd ? "start" : "end";
      const isSet = (which === "start" ? mark.start_frame : mark.end_frame) !== null;
      if (isSet && Math.min(toStart, toEnd) <= GRIP) this.#drag = { id: mark.mark_id, which, frame: which === "start" ? start : end };
    }
    this.film.select(mark.mark_id);
  }

  /** @param {PointerEvent} event */
  #move({ offsetX: x }) {
    if (this.#drag !== null) {
      this.#drag.frame = Math.round(this.#first + x / this.#perFrame);
      this.film.seek(this.#drag.which === "start" ? this.#drag.frame : this.#drag.frame - 1);
      this.ask();
    } else if (this.#scrubs) this.film.seek(this.frameAt(x));
  }

  /** @param {boolean} keep */
  #up(keep) {
    const drag = this.#drag;
    this.#drag = null;
    this.#scrubs = false;
    if (drag !== null && keep) this.film.drag(drag.id, drag.which, drag.frame);
    this.ask();
  }
}
