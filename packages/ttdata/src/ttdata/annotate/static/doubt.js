// What the page shows of a doubt: why, the marks under letters, the proposals, what can be decided.

/**
 * @typedef {{letter: string, start_frame: number | null, end_frame: number | null, label: string | null, left_out: string[]}} Lettered
 * @typedef {{start_frame: number, end_frame: number, label: string | null, model: string, file: string}} Proposed
 * @typedef {{item_id: string, kind: "action" | "negative", video_id: string, start_frame: number, end_frame: number,
 *   label: string | null, why: string[], votes: string | null}} Item
 * @typedef {{item: Item, video: import("./stage.js").Film | null, marks: Lettered[], proposals: Proposed[]}} Doubt
 */

const REASONS = new Map([
  ["annotators disagree", "The annotators give it different names."],
  ["overlaps another action", "It overlaps another stroke."],
  ["a rejected annotation lies in this gap", "No stroke was taken here, but a mark that curation leaves out lies here."],
  ["negative nobody has seen", "No stroke was marked here, and nobody has said so: it may serve as an example of no stroke."],
]);
const LEFT_OUT = new Map([
  ["too_short", "too short"], ["too_long", "too long"], ["starts_at_first_frame", "starts at frame 0"],
  ["ends_after_video", "ends after the video"], ["unlabelled", "without a name"], ["unknown_label", "name unknown"],
  ["empty_interval", "without bounds"], ["unknown_video", "video unknown"],
]);
export const AS = ["asA", "asB", "asC", "asD"];

/** A reason in a sentence. @param {string} why */
export function sentence(why) {
  const known = REASONS.get(why);
  if (known !== undefined) return known;
  const spread = /^bounds spread by (\d+) of (\d+) frames$/.exec(why);
  if (spread !== null) return `The annotators' bounds differ by ${spread[1]} ${spread[1] === "1" ? "frame" : "frames"}; it lasts ${spread[2]}.`;
  const alone = /^annotated by one of (\d+) annotators$/.exec(why);
  if (alone !== null) return `One of ${alone[1]} annotators has marked it.`;
  return `${why[0].toUpperCase()}${why.slice(1)}.`;
}

export class DoubtView {
  /** @param {import("./view.js").View} view */
  constructor(view) { this.view = view; }

  /** @param {Doubt | null} doubt @param {number} left */
  show(doubt, left) {
    const { view } = this;
    view.byId("left").textContent = left === 1 ? "1 doubt left" : `${left} doubts left`;
    view.byId("nothing").hidden = doubt !== null;
    view.byId("nothing-text").textContent = left === 0
      ? "Nothing is doubted now. New doubts come when more videos are done." : "What is left is in others' hands, or of a video that you are marking yourself.";
    view.byId("review").hidden = doubt === null;
    if (doubt === null) return;
    const { item, marks, proposals } = doubt;
    const isAction = item.kind === "action";
    view.byId("item-title").textContent = isAction ? item.label ?? "A stroke without an agreed name" : "Is there no stroke here?";
    view.byId("why").replaceChildren(...item.why.map((why) => this.#line("why-template", sentence(why))));
    view.byId("votes").textContent = item.votes === null ? "" : `Names given: ${item.votes}.`;
    view.byId("film-name").textContent = item.video_id;
    for (const button of this.view.document.querySelectorAll("button[data-for]")) {
      /** @type {HTMLElement} */ (button).hidden = /** @type {HTMLElement} */ (button).dataset.for !== item.kind;
    }
    view.byId("accept-text").textContent = isAction ? "Right as shown" : "Yes, no stroke";
    /** @type {HTMLButtonElement} */ (view.byId("accept")).disabled = isAction && item.label === null;
    this.#rows("stack", "mark-template", marks, (mark) => [
      mark.letter, mark.label ?? "No name",
      mark.left_out.length > 0 ? `left out: ${mark.left_out.map((name) => LEFT_OUT.get(name) ?? name).join(", ")}` : "",
    ]);
    view.byId("no-marks").hidden = marks.length > 0;
    view.byId("proposals-part").hidden = proposals.length === 0;
    this.#rows("proposals", "mark-template", proposals, (found) => ["", found.label ?? "No name", `by ${found.model}, from ${found.file}`]);
  }

  /** The place of every bar, once the window is known. @param {Doubt} doubt @param {import("./player.js").Segment} window */
  place({ item, marks, proposals }, window) {
    const share = (/** @type {number} */ frame) => 100 * Math.max(0, Math.min(1, (frame - window.start) / (window.end - window.start)));
    const lay = (/** @type {string} */ list, /** @type {{start_frame: number | null, end_frame: number | null}[]} */ rows) => {
      for (const [place, bar] of [...this.view.byId(list).querySelectorAll(".span")].entries()) {
        const { start_frame: start, end_frame: end } = rows[place];
        const { style } = /** @type {HTMLElement} */ (bar);
        style.setProperty("--from", `${share(start ?? Number(end) - 1)}%`);
        style.setProperty("--to", `${100 - share(end ?? Number(start) + 1)}%`);
      }
    };
    lay("stack", marks);
    lay("proposals", proposals);
    const asked = this.view.byId("marks-part").style;
    asked.setProperty("--asked-from", `${share(item.start_frame)}%`);
    asked.setProperty("--asked-to", `${100 - share(item.end_frame)}%`);
  }

  /** @param {import("./draft.js").Draft} draft */
  showBounds(draft) {
    const { view } = this;
    view.byId("mark-start").textContent = String(draft.start);
    view.byId("mark-last").textContent = String(draft.end - 1);
    view.byId("changed").hidden = !draft.isChanged;
    for (const action of ["move", "restore"]) {
      for (const button of view.document.querySelectorAll(`button[data-action="${action}"]`)) {
        /** @type {HTMLButtonElement} */ (button).disabled = !draft.isChanged;
      }
    }
  }

  /** @param {string} template @param {string} text */
  #line(template, text) {
    const item = this.view.copy(template);
    item.textContent = text;
    return item;
  }

  /**
   * @template {{start_frame: number | null, end_frame: number | null}} Row
   * @param {string} list @param {string} template @param {Row[]} rows @param {(row: Row) => [string, string, string]} words
   */
  #rows(list, template, rows, words) {
    this.view.byId(list).replaceChildren(...rows.map((row, place) => {
      const item = this.view.copy(template);
      const [letter, label, more] = words(row);
      const set = (/** @type {string} */ name, /** @type {string} */ text) => {
        const element = /** @type {HTMLElement} */ (item.querySelector(name));
        element.textContent = text;
        element.hidden = text === "";
      };
      set(".letter", letter);
      set(".what", label);
      set(".frames", `frames ${row.start_frame ?? "?"} to ${row.end_frame === null ? "?" : row.end_frame - 1}`);
      set(".more", more);
      item.classList.toggle("out", more.startsWith("left out"));
      const button = /** @type {HTMLButtonElement | null} */ (item.querySelector("button"));
      if (button !== null) {
        button.hidden = letter === "" || this.view.byId("review").dataset.kind === "negative";
        button.dataset.place = String(place);
        button.setAttribute("aria-label", `This name, of mark ${letter}`);
      }
      return item;
    }));
  }
}
