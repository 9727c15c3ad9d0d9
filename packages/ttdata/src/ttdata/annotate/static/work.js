// What keys and buttons do, one after the other.
import { BINDINGS, listen } from "./keys.js";
import { Labels } from "./labels.js";
import { isComplete } from "./marks.js";
import { Magnifier } from "./magnifier.js";
import { Timeline } from "./timeline.js";

const SPEEDS = [1, 0.5, 0.25, 0.125];
const LOOP_SPEED = 0.25;
const ZOOM = 1.6;

export class Work {
  /** @type {string[] | null} */ #chosen = null; // words of a label so far; null: not naming
  /** @type {Promise<unknown>} */ #tail = Promise.resolve();
  #speedBefore = 1;

  /**
   * @param {{view: import("./view.js").View, player: import("./player.js").Player, marks: import("./marks.js").Marks,
   *   seen: import("./seen.js").Seen, data: import("./annotate.js").Data, tellSeen: () => void,
   *   others: import("./others.js").Others}} parts
   */
  constructor({ view, player, marks, seen, data, tellSeen, others }) {
    this.view = view;
    this.player = player;
    this.marks = marks;
    this.seen = seen;
    this.tellSeen = tellSeen;
    this.isDone = data.state === "done";
    this.labels = new Labels(data.taxonomy);
    this.actions = this.#actions();
    this.names = new Map(BINDINGS.flatMap(({ action, keys }) => keys.map((key) => [key, action])));
    this.timeline = new Timeline(view.canvas, {
      numFrames: player.numFrames,
      fps: player.fps,
      marks: () => marks.all,
      others: () => others,
      selected: () => marks.selected,
      frame: () => player.aim,
      seek: (frame) => player.seek(frame),
      select: (id) => this.#select(id),
      drag: (id, which, frame) => this.#edit(() => marks.moveBound(id, which, frame)),
    });
    this.magnifier = new Magnifier(view.byId("frame-box"), view.film);
    view.prepare(data, BINDINGS);
  }

  begin() {
    listen(document, (name) => this.press(name));
    this.view.onAction((action) => this.run(action));
    this.view.onMark((id) => this.#select(id));
    this.view.onChoice((word) => this.#enqueue(() => this.#choose(word)));
    this.view.onSpeed((speed) => this.player.setSpeed(speed));
    this.player.addEventListener("frame", () => this.#frame());
    this.player.addEventListener("state", () => this.#state());
    this.marksChanged();
    this.#state();
  }

  /** Take a key; those of a label come first while one is named. @param {string} name */
  press(name) {
    const isKnown = this.names.has(name) || [...name].length === 1 || (this.#chosen !== null && name === "Backspace");
    if (isKnown) this.#enqueue(() => this.#press(name));
    return isKnown;
  }

  /** @param {string} action */
  run(action) { this.#enqueue(() => this.actions[action]()); }

  /** The video is not done after all: the server refused that. */
  goOn() {
    this.isDone = false;
    this.#state();
  }

  /** Resolves when everything asked for so far is done. */
  idle() { return this.#tail; }

  marksChanged() {
    this.view.showMarks(this.marks);
    this.view.showMark(this.marks);
    this.timeline.ask();
  }

  // A bound waits for its picture, and what is pressed after it waits for the bound.
  /** @param {() => unknown} action */
  #enqueue(action) {
    this.#tail = this.#tail.then(action).catch((error) => this.view.say(`This did not work: ${error}`));
  }

  /** @param {string} name */
  #press(name) {
    if (this.#chosen !== null) {
      if (name === "Backspace") return this.#name(this.#chosen.slice(0, -1));
      const choice = this.labels.choices(this.#chosen).find(({ key }) => key === name);
      if (choice !== undefined) {
        return choice.possible ? this.#choose(choice.word) : this.view.say(`${choice.word} is not possible here.`);
      }
      if (name === "Escape") return this.#name(null);
    }
    const action = this.names.get(name);
    return action === undefined ? undefined : this.actions[action]();
  }

  /** @returns {Record<string, () => unknown>} */
  #actions() {
    const { player, marks, view } = this;
    const speed = (/** @type {number} */ place) => () => { player.setSpeed(SPEEDS[place]); view.showSpeed(SPEEDS[place]); };
    const step = (/** @type {number} */ count) => () => player.step(count);
    const nudge = (/** @type {"start" | "end"} */ which, /** @type {number} */ count) => () => this.#nudge(which, count);
    return {
      toggle: () => player.toggle(), forward: step(1), back: step(-1), forward10: step(10), back10: step(-10),
      speed1: speed(0), speed2: speed(1), speed3: speed(2), speed4: speed(3),
      first: () => player.seek(0), last: () => player.seek(player.numFrames - 1), unseen: () => this.#unseen(),
      start: () => this.#bound("start"), end: () => this.#bound("end"), label: () => this.#label(),
      startBack: nudge("start", -1), startOn: nudge("start", 1), endBack: nudge("end", -1), endOn: nudge("end", 1),
      loop: () => this.#loop(), remove: () => this.#edit(() => marks.remove(), "Removed."),
      next: () => this.#neighbour(1), previous: () => this.#neighbour(-1), leave: () => this.#select(null),
      undo: () => this.#edit(() => marks.undo(), "Undone."), redo: () => this.#edit(() => marks.redo(), "Done again."),
      zoomIn: () => this.timeline.zoom(ZOOM), zoomOut: () => this.timeline.zoom(1 / ZOOM),
      closer: () => this.#closer(), whole: () => this.magnifier.reset(),
      done: () => this.#done(), help: () => view.showHelp(),
    };
  }

  /** @param {() => string | null} change @param {string} [said] */
  #edit(change, said = "") {
    const problem = this.isDone ? "This video is done: a teacher can open it again." : change();
    this.view.say(problem ?? said);
    if (problem === null && this.#chosen !== null && this.marks.selected === null) this.#name(null);
    return problem === null;
  }

  /** @param {"start" | "end"} which */
  async #bound(which) {
    const frame = await this.player.settled();
    if (frame === null) {
      this.view.say("The picture's number cannot be read: nothing was marked.");
      return;
    }
    const { marks } = this;
    const ok = this.#edit(() => (which === "start" ? marks.setStart(frame) : marks.setLast(frame)),
      `${which === "start" ? "Starts" : "Ends"} with frame ${frame}.`);
    const mark = marks.selected;
    if (ok && mark !== null && mark.start_frame !== null && mark.end_frame !== null && mark.label === null) this.#label();
  }

  /** @param {"start" | "end"} which @param {number} count */
  #nudge(which, count) {
    if (!this.#edit(() => this.marks.nudge(which, count))) return;
    const mark = this.marks.selected;
    if (mark === null) return;
    const frame = which === "start" ? Number(mark.start_frame) : Number(mark.end_frame) - 1;
    if (this.player.loop === null) this.player.seek(frame);
    this.view.say(`${which === "start" ? "Starts" : "Ends"} with frame ${frame}.`);
  }

  #label() {
    if (this.marks.selected === null) this.view.say("Choose a mark first.");
    else if (!this.isDone) this.#name([]);
  }

  /** @param {string} word */
  #choose(word) {
    if (this.#chosen === null) return;
    const chosen = [...this.#chosen, word];
    const label = this.labels.labelOf(chosen);
    if (label === null) {
      this.#name(chosen);
      return;
    }
    this.#name(null);
    if (!this.#edit(() => this.marks.setLabel(label), `${label}.`)) return;
    const mark = this.marks.selected;
    // A finished mark is left, so that the next start begins another one.
    if (mark !== null && isComplete(mark) && this.marks.warnings(mark).length === 0) this.marks.select(null);
  }

  /** @param {string[] | null} chosen */
  #name(chosen) {
    this.#chosen = chosen;
    this.view.showChoices(chosen, chosen === null ? [] : this.labels.choices(chosen));
  }

  /** @param {string | null} id */
  #select(id) {
    this.#name(null);
    if (id === null) this.#endLoop();
    this.marks.select(id);
  }

  /** @param {1 | -1} direction */
  #neighbour(direction) {
    const mark = this.marks.neighbour(direction, this.player.aim ?? 0);
    if (mark === null) {
      this.view.say(direction > 0 ? "There is no later mark." : "There is no earlier mark.");
      return;
    }
    this.#endLoop();
    this.#select(mark.mark_id);
    this.player.pause();
    this.player.seek(mark.start_frame ?? Number(mark.end_frame) - 1);
    this.view.say(this.view.textOf(mark));
  }

  #loop() {
    if (this.player.loop !== null) {
      this.#endLoop();
      this.player.pause();
      return;
    }
    const mark = this.marks.selected;
    if (mark === null || mark.start_frame === null || mark.end_frame === null) {
      this.view.say("Choose a mark with both bounds first.");
      return;
    }
    this.#speedBefore = this.player.speed;
    this.player.setSpeed(LOOP_SPEED);
    this.view.showSpeed(LOOP_SPEED);
    this.player.setLoop({ start: mark.start_frame, end: mark.end_frame });
  }

  #endLoop() {
    if (this.player.loop === null) return;
    this.player.setLoop(null);
    this.player.setSpeed(this.#speedBefore);
    this.view.showSpeed(this.#speedBefore);
  }

  #closer() {
    const { clientWidth, clientHeight } = this.magnifier.box;
    this.magnifier.zoom(ZOOM, { x: clientWidth / 2, y: clientHeight / 2 });
  }

  #unseen() {
    const gap = this.seen.firstGap;
    if (gap === null) this.view.say("Every frame was seen.");
    else this.player.seek(gap);
  }

  #done() {
    this.tellSeen();
    if (this.seen.missing > 0) {
      const { missing, firstGap } = this.seen;
      this.view.say(`${missing === 1 ? `Frame ${firstGap} was` : `${missing} frames were`} not seen yet${missing === 1 ? "" : `, the first is ${firstGap}`}: press G to go there.`);
    } else if (this.#edit(() => this.marks.done(), "This video is done.")) {
      this.isDone = true;
      this.#state();
    }
  }

  #frame() {
    const { frame, isPlaying } = this.player;
    if (frame !== null) this.seen.show(frame, isPlaying);
    if (isPlaying && frame !== null) this.timeline.show(frame);
    this.view.showFrame(frame, this.player.numFrames, this.seen);
    this.timeline.ask();
  }

  #state() {
    if (this.player.state === "still") this.timeline.show(this.player.frame ?? 0);
    this.view.showState(this.player, this.isDone);
  }
}
