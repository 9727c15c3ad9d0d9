// The reviewer's page: one doubt after the other, each settled by a key.
import { ask } from "./ask.js";
import { AS, DoubtView, sentence } from "./doubt.js";
import { Draft } from "./draft.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { BINDINGS } from "./reviewkeys.js";
import { Stage } from "./stage.js";
import { View } from "./view.js";

/** @typedef {import("./doubt.js").Doubt} Doubt */

const SPEEDS = [1, 0.5, 0.25, 0.125];
const AROUND_SECONDS = 0.5;
const KEEP_MS = 60_000;
const ZOOM = 1.6;

export class Review {
  /** @type {Doubt | null} */ #doubt = null;
  /** @type {Draft | null} */ #draft = null;
  /** @type {import("./stage.js").Mark[]} */ #bars = [];
  /** @type {string[] | null} */ #chosen = null; // words of a label so far; null: not naming
  /** @type {Promise<unknown>} */ #tail = Promise.resolve();
  #speed = 0.5;
  #kept = 0;

  /** @param {View} view @param {import("./labels.js").Taxonomy} taxonomy */
  constructor(view, taxonomy) {
    this.view = view;
    this.labels = new Labels(taxonomy);
    this.shown = new DoubtView(view);
    this.stage = new Stage(view, {
      marks: () => this.#bars,
      selected: () => (this.#doubt?.item.kind === "action" ? this.#bars[0] ?? null : null),
      select: () => {},
      drag: (_, which, frame) => this.#change((draft) => draft.move(which, frame)),
      frame: () => {},
      state: () => {},
    });
    this.actions = this.#actions();
    this.names = new Map(BINDINGS.flatMap(({ action, keys }) => keys.map((key) => [key, action])));
  }

  get doubt() { return this.#doubt; }

  get draft() { return this.#draft; }

  begin() {
    this.view.prepareKeys(BINDINGS);
    listen(document, (name) => this.press(name));
    this.view.onAction((action) => this.run(action));
    this.view.onChoice((word) => this.#enqueue(() => this.#choose(word)));
    this.view.onSpeed((speed) => this.#setSpeed(speed));
    this.view.byId("stack").addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("button")) : null;
      if (button !== null) this.#enqueue(() => this.#nameAs(Number(button.dataset.place)));
    });
    for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, () => this.#keep());
    return this.#enqueue(async () => this.#show(await ask("/api/review/next")));
  }

  /** Take a key; those of a label come first while one is named. @param {string} name */
  press(name) {
    const isKnown = this.names.has(name) || (this.#chosen !== null && ([...name].length === 1 || name === "Backspace"));
    if (isKnown) this.#enqueue(() => this.#press(name));
    return isKnown;
  }

  /** @param {string} action */
  run(action) { return this.#enqueue(() => this.actions[action]()); }

  /** Resolves when everything asked for so far is done. */
  idle() { return this.#tail; }

  // What is pressed while a decision is on its way waits for the next doubt.
  /** @param {() => unknown} action */
  #enqueue(action) {
    this.#tail = this.#tail.then(action).catch((error) => this.view.say(error.message));
    return this.#tail;
  }

  /** @param {string} name */
  #press(name) {
    if (this.#chosen !== null) {
      if (name === "Backspace") return this.#name(this.#chosen.slice(0, -1));
      if (name === "Escape") return this.#name(null);
      const choice = this.labels.choices(this.#chosen).find(({ key }) => key === name);
      if (choice !== undefined) {
        return choice.possible ? this.#choose(choice.word) : this.view.say(`${choice.word} is not possible here.`);
      }
    }
    const action = this.names.get(name);
    return action === undefined ? undefined : this.actions[action]();
  }

  /** @returns {Record<string, () => unknown>} */
  #actions() {
    const step = (/** @type {number} */ count) => () => this.#film((player) => player.step(count));
    const nudge = (/** @type {"start" | "end"} */ which, /** @type {number} */ count) => () => this.#change((draft) => draft.nudge(which, count), which);
    const speeds = Object.fromEntries(SPEEDS.map((speed, place) => [`speed${place + 1}`, () => this.#setSpeed(speed)]));
    const as = Object.fromEntries(AS.map((name, place) => [name, () => this.#nameAs(place)]));
    return {
      ...speeds, ...as,
      accept: () => this.#decide("accept"), reject: () => this.#decide("reject"), drop: () => this.#decide("drop"),
      move: () => this.#decide("move"), label: () => this.#label(), later: () => this.#later(),
      start: () => this.#bound("start"), end: () => this.#bound("end"),
      startBack: nudge("start", -1), startOn: nudge("start", 1), endBack: nudge("end", -1), endOn: nudge("end", 1),
      restore: () => this.#change((draft) => draft.restore()),
      toggle: () => this.#film((player) => player.toggle()), loop: () => this.#loop(),
      forward: step(1), back: step(-1), forward10: step(10), back10: step(-10),
      zoomIn: () => this.stage.zoom(ZOOM), zoomOut: () => this.stage.zoom(1 / ZOOM),
      help: () => this.view.showHelp(),
    };
  }

  /** @param {(player: import("./player.js").Player) => unknown} action */
  #film(action) { return this.stage.hasFilm && this.#doubt?.video ? action(this.stage.player) : undefined; }

  /** @param {number} speed */
  #setSpeed(speed) {
    this.#speed = speed;
    this.view.showSpeed(speed);
    this.#film((player) => player.setSpeed(speed));
  }

  /** @param {{doubt: Doubt | null, left: number}} next */
  #show({ doubt, left }) {
    this.#name(null);
    this.#doubt = doubt;
    this.#kept = performance.now();
    if (doubt !== null) this.view.byId("review").dataset.kind = doubt.item.kind;
    this.shown.show(doubt, left);
    this.view.showProblem(doubt !== null && doubt.video === null ? "The film of this place is not ready." : null);
    if (doubt === null) {
      this.#draft = null;
      this.#film((player) => player.pause());
      return;
    }
    const { item, video } = doubt;
    const numFrames = video?.num_frames ?? item.end_frame;
    this.#draft = new Draft({ start: item.start_frame, end: item.end_frame, numFrames });
    this.#draw();
    this.shown.place(doubt, this.#window());
    this.#loop();
  }

  /** The frames around the doubt. @returns {import("./player.js").Segment} */
  #window() {
    const { item, video } = /** @type {Doubt} */ (this.#doubt);
    const around = Math.round(AROUND_SECONDS * (video?.fps ?? 30));
    return { start: Math.max(0, item.start_frame - around), end: Math.min(video?.num_frames ?? Infinity, item.end_frame + around) };
  }

  #loop() {
    if (this.#doubt?.video) this.stage.show(this.#doubt.video, this.#window(), this.#speed);
  }

  #draw() {
    const doubt = this.#doubt;
    const draft = this.#draft;
    if (doubt === null || draft === null) return;
    this.#bars = [{ mark_id: "draft", revision: 1, removed: false, start_frame: draft.start, end_frame: draft.end, label: doubt.item.label ?? "?" }];
    this.shown.showBounds(draft);
    this.stage.ask();
  }

  /** @param {(draft: Draft) => void} change @param {"start" | "end"} [which] */
  #change(change, which) {
    const draft = this.#draft;
    if (draft === null) return;
    if (this.#doubt?.item.kind !== "action") {
      this.view.say("Here nothing has bounds to change.");
      return;
    }
    change(draft);
    this.#draw();
    if (which === undefined) return;
    const frame = which === "start" ? draft.start : draft.end - 1;
    this.#film((player) => { player.pause(); player.seek(frame); });
    this.view.say(`${which === "start" ? "Starts" : "Ends"} with frame ${frame}.`);
  }

  /** @param {"start" | "end"} which */
  async #bound(which) {
    const frame = await this.#film((player) => player.settled());
    if (typeof frame !== "number") this.view.say("The picture's number cannot be read: nothing was changed.");
    else this.#change((draft) => draft.place(which, frame), which);
  }

  #label() {
    if (this.#doubt?.item.kind === "action") this.#name([]);
    else if (this.#doubt !== null) this.view.say("Nothing has a name here: press Y or N.");
  }

  /** @param {string} word */
  #choose(word) {
    if (this.#chosen === null) return undefined;
    const chosen = [...this.#chosen, word];
    const label = this.labels.labelOf(chosen);
    return label === null ? this.#name(chosen) : this.#decide("relabel", label);
  }

  /** @param {string[] | null} chosen */
  #name(chosen) {
    this.#chosen = chosen;
    this.view.showChoices(chosen, chosen === null ? [] : this.labels.choices(chosen));
  }

  /** @param {number} place */
  #nameAs(place) {
    const label = this.#doubt?.marks[place]?.label;
    if (this.#doubt?.item.kind !== "action" || !label) {
      this.view.say("There is no such mark with a name.");
      return undefined;
    }
    return this.#decide("relabel", label);
  }

  /** @param {string} decision @param {string} [label] */
  async #decide(decision, label) {
    const doubt = this.#doubt;
    const draft = this.#draft;
    if (doubt === null || draft === null) return;
    const { item } = doubt;
    if (decision === "reject" && item.kind === "action") {
      this.view.say("Press X where no stroke happens.");
      return;
    }
    if ((decision === "drop" || decision === "move") && item.kind === "negative") {
      this.view.say("Press Y where no stroke happens, N where one does.");
      return;
    }
    const bounds = draft.isChanged ? { start_frame: draft.start, end_frame: draft.end } : {};
    const next = await ask("/api/review/decisions", { item_id: item.item_id, decision, label: label ?? null, ...bounds });
    this.#tell("Stored.", next);
  }

  async #later() {
    if (this.#doubt !== null) this.#tell("Left for later.", await ask("/api/review/later", { item_id: this.#doubt.item.item_id }));
  }

  /** @param {string} what @param {{doubt: Doubt | null, left: number}} next */
  #tell(what, next) {
    this.#show(next);
    const after = next.doubt === null ? "" : ` Next: ${sentence(next.doubt.item.why[0])}`;
    this.view.say(`${what}${after}`);
  }

  // While somebody works on a doubt it stays his.
  #keep() {
    if (this.#doubt === null || performance.now() - this.#kept < KEEP_MS) return;
    this.#kept = performance.now();
    this.#enqueue(async () => {
      const { kept } = await ask("/api/review/keep", { item_id: this.#doubt?.item.item_id ?? "-" });
      if (!kept) this.#tell("Somebody else has taken this doubt.", await ask("/api/review/next"));
    });
  }
}

const view = new View(document);
try {
  const review = new Review(view, await ask("/api/review/taxonomy"));
  // For tests and for those who look for a fault.
  Object.assign(globalThis, { review });
  await review.begin();
} catch (error) {
  view.say(error instanceof Error ? error.message : String(error));
}
