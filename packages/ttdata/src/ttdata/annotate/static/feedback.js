// Training: what was right about the marks, told as soon as they are complete.
import { ask } from "./ask.js";

/**
 * @typedef {{frames: number, milliseconds: number}} Bound negative: too early
 * @typedef {{start_frame: number, end_frame: number, label: string}} Truth
 * @typedef {{mark_id: string, truth: Truth | null, is_second: boolean, label_is_right: boolean | null,
 *   start: Bound | null, end: Bound | null}} MarkFeedback
 * @typedef {{hits: number, of: number, share: number | null, interval: [number, number] | null}} Share
 * @typedef {{marks: MarkFeedback[], missed: Truth[] | null,
 *   score: {recall: Share, precision: Share, labels: Share} | null}} Told
 */

/** @param {number} count @param {string} word */
const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** How far a bound is off. @param {string} name @param {Bound | null} bound */
export function boundWords(name, bound) {
  if (bound === null) return "";
  if (bound.frames === 0) return `${name} exact`;
  return `${name} ${counted(Math.abs(bound.frames), "frame")} (${Math.round(Math.abs(bound.milliseconds))} ms) ${bound.frames < 0 ? "early" : "late"}`;
}

/** What is told of a mark: whether all of it is right, and words. @param {MarkFeedback} mark */
export function markWords({ truth, is_second: isSecond, label_is_right: isRight, start, end }) {
  if (truth === null) return { right: false, text: "There is no stroke here, or its bounds are far off." };
  const second = isSecond ? "Another mark fits this stroke better. " : "";
  const name = isRight ? "The name is right" : `The name should be ${truth.label}`;
  return { right: Boolean(isRight) && !isSecond, text: `${second}${name}; ${boundWords("start", start)}, ${boundWords("end", end)}.` };
}

/** @param {string} name @param {Share} share */
export function shareWords(name, { hits, of, share, interval }) {
  if (share === null || interval === null) return `${name}: none to count.`;
  const percent = (/** @type {number} */ value) => Math.round(100 * value);
  return `${name}: ${hits} of ${of}, ${percent(share)} % (95 % interval ${percent(interval[0])} to ${percent(interval[1])} %).`;
}

export class Feedback {
  #asked = 0;
  #isStale = false;

  /**
   * @param {import("./view.js").View} view
   * @param {{url: string, marks: () => import("./marks.js").Mark[]}} options
   */
  constructor(view, { url, marks }) {
    this.view = view;
    this.url = url;
    this.marks = marks;
    view.byId("training").hidden = false;
    view.byId("next").setAttribute("href", "/train");
    view.byId("next").textContent = "How it went so far";
  }

  /** An event is on its way. @param {string} kind */
  expect(kind) { this.#isStale ||= kind !== "seen"; }

  /** All events are stored: what is told may be another thing now. */
  sent() {
    if (!this.#isStale) return;
    this.#isStale = false;
    this.ask();
  }

  /** Ask what is told now; of several answers the last question's counts. */
  async ask() {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const told = /** @type {Told} */ (await ask(this.url));
      if (asked === this.#asked) this.show(told);
    } catch (error) {
      if (asked === this.#asked) this.view.byId("training-said").textContent = error instanceof Error ? error.message : "";
    }
  }

  /** @param {Told} told */
  show(told) {
    const { view } = this;
    const numbers = new Map(this.marks().map((mark, place) => [mark.mark_id, place + 1]));
    const items = told.marks.map((mark) => {
      const { right, text } = markWords(mark);
      return this.#line(`Mark ${numbers.get(mark.mark_id) ?? "?"}: ${text}`, right);
    });
    for (const { start_frame: start, end_frame: end, label } of told.missed ?? []) {
      items.push(this.#line(`Not marked: ${label}, frames ${start} to ${end - 1}.`, false));
    }
    view.byId("told").replaceChildren(...items);
    const { score } = told;
    view.byId("training-said").textContent = score === null
      ? "Each mark is judged as soon as it is complete." : `You are done. ${shareWords("Strokes found", score.recall)}`;
    view.byId("training-score").replaceChildren(...(score === null ? [] : [
      shareWords("Marks that are strokes", score.precision), shareWords("Right names", score.labels),
    ].map((text) => this.#line(text, true))));
  }

  /** @param {string} text @param {boolean} right */
  #line(text, right) {
    const item = this.view.copy("warning-template");
    item.textContent = text;
    item.classList.toggle("wrong", !right);
    return item;
  }
}
