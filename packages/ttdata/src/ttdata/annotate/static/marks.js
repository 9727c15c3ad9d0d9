// The marks of one person in one video. Knows no page: every change is an event for an outbox.
import { uuid } from "./uuid.js";

/**
 * @typedef {{start_frame: number | null, end_frame: number | null, label: string | null, removed: boolean}} Content
 * end_frame is exclusive
 * @typedef {Content & {mark_id: string, revision: number}} Mark
 * @typedef {{uuid: string, mark: string, before: Content, after: Content}} Step
 * @typedef {{uuid: string, mark: string | null, base_revision: number | null,
 *   body: {kind: string} & Record<string, unknown>}} MarkEvent
 * @typedef {{kind: "short" | "long" | "overlap", text: string}} Warning
 */

export const SHORTEST_SECONDS = 0.6;
export const LONGEST_SECONDS = 2.3;
export const LARGEST_OVERLAP = 0.25; // intersection / the shorter one

/** @param {Content} mark */
export const isComplete = (mark) => mark.start_frame !== null && mark.end_frame !== null && mark.label !== null;

/** @param {Content} mark @returns {Content} */
const contentOf = ({ start_frame, end_frame, label, removed }) => ({ start_frame, end_frame, label, removed });

/** Methods that change something return null, or why it is not possible. */
export class Marks {
  /** @type {Map<string, Mark>} */ #marks = new Map();
  /** @type {Step[]} */ #steps = [];
  #standing = 0; // how many of the steps are not undone
  /** @type {Mark[] | null} */ #sorted = null;
  /** @type {string | null} */ #selected = null;

  /**
   * @param {{numFrames: number, fps: number, marks?: Mark[], emit: (event: MarkEvent) => void,
   *   changed?: () => void, newId?: () => string}} options emit: takes each event in order
   */
  constructor({ numFrames, fps, marks = [], emit, changed = () => {}, newId = uuid }) {
    this.numFrames = numFrames;
    this.fps = fps;
    this.emit = emit;
    this.changed = changed;
    this.newId = newId;
    for (const mark of marks) this.#marks.set(mark.mark_id, { ...contentOf(mark), mark_id: mark.mark_id, revision: mark.revision });
  }

  /** Those that are not removed, by time; the same array until something changes. */
  get all() {
    const at = (/** @type {Mark} */ mark) => mark.start_frame ?? (mark.end_frame ?? 1) - 1;
    this.#sorted ??= [...this.#marks.values()].filter((mark) => !mark.removed)
      .sort((a, b) => at(a) - at(b) || (a.mark_id < b.mark_id ? -1 : 1));
    return this.#sorted;
  }

  /** @returns {Mark | null} */
  get selected() {
    const mark = this.#selected === null ? undefined : this.#marks.get(this.#selected);
    return mark === undefined || mark.removed ? null : mark;
  }

  /** @param {string | null} id */
  select(id) {
    this.#selected = id;
    this.#tell();
  }

  /** The next mark by time, or the one before. @param {1 | -1} direction @param {number} frame */
  neighbour(direction, frame) {
    const { all, selected } = this;
    if (selected !== null) return all[all.indexOf(selected) + direction] ?? null;
    const at = (/** @type {Mark} */ mark) => mark.start_frame ?? (mark.end_frame ?? 1) - 1;
    if (direction > 0) return all.find((mark) => at(mark) >= frame) ?? null;
    return all.findLast((mark) => at(mark) <= frame) ?? null;
  }

  /** The mark begins with this frame: the selected one, else a new one. @param {number} frame */
  setStart(frame) {
    let mark = this.selected;
    // Beyond a finished mark another one begins.
    if (mark !== null && isComplete(mark) && frame >= Number(mark.end_frame)) mark = null;
    return this.#setBounds(mark, frame, mark?.end_frame ?? null);
  }

  /** This frame is the mark's last one. @param {number} frame */
  setLast(frame) {
    const mark = this.selected;
    return this.#setBounds(mark, mark?.start_frame ?? null, frame + 1);
  }

  /**
   * Move a bound as far as it can go. Frame 0 becomes a start by setStart only.
   * @param {string} id @param {"start" | "end"} which @param {number} frame the end's is exclusive
   */
  moveBound(id, which, frame) {
    const mark = this.#marks.get(id);
    if (mark === undefined || mark.removed) return "There is no such mark.";
    const { start_frame: start, end_frame: end } = mark;
    if ((which === "start" ? start : end) === null) return `This mark has no ${which} yet.`;
    if (which === "start") {
      const least = start === 0 ? 0 : 1;
      return this.#setBounds(mark, Math.max(least, Math.min(frame, (end ?? this.numFrames) - 1)), end);
    }
    return this.#setBounds(mark, start, Math.max((start ?? 0) + 1, Math.min(frame, this.numFrames)));
  }

  /** Move a bound of the selected mark. @param {"start" | "end"} which @param {number} count */
  nudge(which, count) {
    const mark = this.selected;
    if (mark === null) return "Choose a mark first.";
    return this.moveBound(mark.mark_id, which, Number(which === "start" ? mark.start_frame : mark.end_frame) + count);
  }

  /** @param {string | null} label */
  setLabel(label) {
    const mark = this.selected;
    if (mark === null) return "Choose a mark first.";
    if (mark.label !== label) this.#edit(mark, { label }, { kind: "label_set", label });
    return null;
  }

  remove() {
    const mark = this.selected;
    if (mark === null) return "Choose a mark first.";
    this.#edit(mark, { removed: true }, { kind: "mark_removed" });
    return null;
  }

  undo() {
    const step = this.#steps[this.#standing - 1];
    if (step === undefined) return "There is nothing to undo.";
    this.#standing -= 1;
    return this.#go(step, step.before, "undone");
  }

  redo() {
    const step = this.#steps[this.#standing];
    if (step === undefined) return "There is nothing to redo.";
    this.#standing += 1;
    return this.#go(step, step.after, "redone");
  }

  /** Marks that lack a bound or a label. */
  get incomplete() { return this.all.filter((mark) => !isComplete(mark)); }

  /** Say that every stroke is marked. @returns {string | null} why that cannot be */
  done() {
    const lacking = this.incomplete.length;
    if (lacking > 0) return `${lacking} mark${lacking > 1 ? "s lack" : " lacks"} a bound or label: complete or remove ${lacking > 1 ? "them" : "it"}.`;
    this.emit({ uuid: this.newId(), mark: null, base_revision: null, body: { kind: "done" } });
    return null;
  }

  /** What is unusual about a mark; it is kept all the same. @param {Mark} mark @returns {Warning[]} */
  warnings(mark) {
    const { start_frame: start, end_frame: end } = mark;
    if (start === null || end === null) return [];
    /** @type {Warning[]} */ const found = [];
    const seconds = (end - start) / this.fps;
    if (seconds < SHORTEST_SECONDS) found.push({ kind: "short", text: `Shorter than ${SHORTEST_SECONDS} s.` });
    if (seconds > LONGEST_SECONDS) found.push({ kind: "long", text: `Longer than ${LONGEST_SECONDS} s.` });
    const overlaps = this.all.some((other) => {
      if (other === mark || other.start_frame === null || other.end_frame === null) return false;
      const shared = Math.min(end, other.end_frame) - Math.max(start, other.start_frame);
      return shared > LARGEST_OVERLAP * Math.min(end - start, other.end_frame - other.start_frame);
    });
    if (overlaps) found.push({ kind: "overlap", text: "Overlaps another mark by more than a quarter." });
    return found;
  }

  /** Take over a mark as the server has it; steps that speak of it can be undone no more. @param {Mark} mark */
  replace(mark) {
    this.#marks.set(mark.mark_id, { ...contentOf(mark), mark_id: mark.mark_id, revision: mark.revision });
    const keep = (/** @type {Step} */ step) => step.mark !== mark.mark_id;
    const standing = this.#steps.slice(0, this.#standing).filter(keep);
    this.#steps = [...standing, ...this.#steps.slice(this.#standing).filter(keep)];
    this.#standing = standing.length;
    this.#tell();
  }

  /** @param {Mark | null} mark @param {number | null} start @param {number | null} end */
  #setBounds(mark, start, end) {
    if (start !== null && (start < 0 || start >= this.numFrames)) return "That is not in the video.";
    if (end !== null && (end < 1 || end > this.numFrames)) return "That is not in the video.";
    if (start !== null && end !== null && end <= start) {
      return end === mark?.end_frame ? "That is after this mark's end." : "That is before this mark's start.";
    }
    const bounds = { start_frame: start, end_frame: end };
    const body = { ...bounds, from_first_frame: start === 0 };
    if (mark === null) {
      const made = { ...bounds, label: null, removed: false, mark_id: this.newId(), revision: 0 };
      this.#marks.set(made.mark_id, made);
      this.#selected = made.mark_id;
      this.#edit(made, {}, { kind: "mark_made", ...body, label: null });
    } else if (mark.start_frame !== start || mark.end_frame !== end) {
      this.#edit(mark, bounds, { kind: "bounds_changed", ...body });
    }
    return null;
  }

  /** @param {Mark} mark @param {Partial<Content>} changes @param {{kind: string}} body */
  #edit(mark, changes, body) {
    const isNew = mark.revision === 0;
    const before = isNew ? { ...contentOf(mark), removed: true } : contentOf(mark);
    const event = { uuid: this.newId(), mark: mark.mark_id, base_revision: isNew ? null : mark.revision, body };
    Object.assign(mark, changes, { revision: mark.revision + 1 });
    this.#steps = [...this.#steps.slice(0, this.#standing), { uuid: event.uuid, mark: mark.mark_id, before, after: contentOf(mark) }];
    this.#standing += 1;
    this.#tell();
    this.emit(event);
  }

  /** @param {Step} step @param {Content} content @param {"undone" | "redone"} kind */
  #go(step, content, kind) {
    const mark = /** @type {Mark} */ (this.#marks.get(step.mark));
    const event = { uuid: this.newId(), mark: step.mark, base_revision: mark.revision, body: { kind, event: step.uuid } };
    Object.assign(mark, content, { revision: mark.revision + 1 });
    this.#selected = mark.mark_id;
    this.#tell();
    this.emit(event);
    return null;
  }

  #tell() {
    this.#sorted = null;
    this.changed();
  }
}
