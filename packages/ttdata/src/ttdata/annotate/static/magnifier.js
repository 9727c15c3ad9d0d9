// A closer look at the picture, by wheel. The strip below it never comes into the box.

const LARGEST = 8;

/** @typedef {{scale: number, x: number, y: number}} Look x, y: of the picture's corner, in px */

/**
 * A look after zooming about a place that stays where it is; the picture always fills its box.
 * @param {Look} look @param {number} factor @param {{x: number, y: number}} at
 * @param {{width: number, height: number}} box @returns {Look}
 */
export function zoomed(look, factor, at, box) {
  const scale = Math.max(1, Math.min(LARGEST, look.scale * factor));
  const place = (/** @type {number} */ old, /** @type {number} */ point, /** @type {number} */ size) =>
    Math.min(0, Math.max(size * (1 - scale), point - ((point - old) * scale) / look.scale));
  return { scale, x: place(look.x, at.x, box.width), y: place(look.y, at.y, box.height) };
}

export class Magnifier {
  /** @type {Look} */ look = { scale: 1, x: 0, y: 0 };

  /** @param {HTMLElement} box @param {HTMLElement} film */
  constructor(box, film) {
    this.box = box;
    this.film = film;
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = box.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - left, y: event.clientY - top });
    }, { passive: false });
    new ResizeObserver(() => this.reset()).observe(box);
  }

  /** @param {number} factor above 1: nearer @param {{x: number, y: number}} at in px of the box */
  zoom(factor, at) {
    const { width, height } = this.box.getBoundingClientRect();
    this.look = zoomed(this.look, factor, at, { width, height });
    this.#show();
  }

  reset() {
    this.look = { scale: 1, x: 0, y: 0 };
    this.#show();
  }

  #show() {
    const { scale, x, y } = this.look;
    this.film.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
  }
}
