// What others found in a video, and where a model would look: both only once it is done.

/**
 * @typedef {{start_frame: number | null, end_frame: number | null, label: string | null}} OtherMark
 * @typedef {{others: OtherMark[][], look_here: number[]}} Findings others: by person
 * @typedef {{start: number, end: number}} Span in frames, end exclusive
 */

const LISTED = 200;

/** "A" to "Z", then "A2", ...: people are not named. @param {number} place */
const letter = (place) => String.fromCharCode(65 + (place % 26)) + (place < 26 ? "" : String(1 + Math.floor(place / 26)));

export class Others {
  /** @type {Span[]} */ spans = []; // by their start
  /** @type {number[]} */ hints = [];

  /** @param {{view: import("./view.js").View, seek: (frame: number) => void}} parts */
  constructor({ view, seek }) {
    this.view = view;
    view.byId("others-list").addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("[data-frame]")) : null;
      if (button !== null) seek(Number(button.dataset.frame));
    });
  }

  /** @param {Findings} findings */
  show({ others, look_here: hints }) {
    const items = others.flatMap((marks, person) => marks.map((mark) => ({
      frame: Number(mark.start_frame), end: Number(mark.end_frame), who: letter(person), what: mark.label ?? "No name",
    }))).sort((a, b) => a.frame - b.frame);
    this.spans = items.map(({ frame, end }) => ({ start: frame, end }));
    this.hints = hints;
    const lines = [
      ...items.map(({ frame, end, who, what }) => ({ frame, text: `${who}: ${what}`, place: `${frame} to ${end - 1}` })),
      ...hints.map((frame) => ({ frame, text: "A model says: look here", place: `${frame}` })),
    ];
    this.view.byId("others").hidden = lines.length === 0;
    this.view.byId("others-list").replaceChildren(...lines.slice(0, LISTED).map(({ frame, text, place }) => {
      const item = this.view.copy("mark-template");
      const button = /** @type {HTMLElement} */ (item.querySelector("button"));
      button.dataset.frame = String(frame);
      button.classList.remove("mark"); // no mark of one's own
      button.classList.add("other");
      /** @type {HTMLElement} */ (button.querySelector(".what")).textContent = text;
      /** @type {HTMLElement} */ (button.querySelector(".number")).textContent = place;
      return item;
    }));
  }
}
