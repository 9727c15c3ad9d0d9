// Reference strokes: of a finished mark the frames in which the player is ready, meets the ball, ends.
import { ask } from "./ask.js";
import { listen } from "./keys.js";
import { MOMENTS, WORDS, problemOf } from "./moments.js";
import { Stage } from "./stage.js";
import { uuid } from "./uuid.js";
import { View } from "./view.js";

/**
 * @typedef {import("./moments.js").Moment} Moment
 * @typedef {import("./moments.js").Moments} Moments
 * @typedef {import("./moments.js").Choosable} Choosable
 * @typedef {{position: number, video_id: string, marks: number, references: number}} FilmCount
 */

const SPEEDS = [1, 0.5, 0.25, 0.125];
const LISTED = 300;

/** @type {import("./keys.js").Binding[]} */
export const BINDINGS = [
  { group: "Moments", action: "ready", keys: ["r"], text: "Ready: the last frame before the player moves towards the ball" },
  { group: "Moments", action: "contact", keys: ["c"], text: "Contact: the first frame in which the bat meets the ball" },
  { group: "Moments", action: "end", keys: ["e"], text: "End: the last frame of the follow-through" },
  { group: "Moments", action: "store", keys: ["y"], text: "Store this reference stroke" },
  { group: "Moments", action: "remove", keys: ["x"], text: "It is no reference stroke" },
  { group: "Moments", action: "next", keys: ["n", "ArrowDown"], text: "Next mark" },
  { group: "Moments", action: "previous", keys: ["p", "ArrowUp"], text: "Previous mark" },
  { group: "Film", action: "toggle", keys: [" "], text: "Play or pause" },
  { group: "Film", action: "forward", keys: ["ArrowRight"], text: "One frame on" },
  { group: "Film", action: "back", keys: ["ArrowLeft"], text: "One frame back" },
  { group: "Film", action: "forward10", keys: ["Shift+ArrowRight"], text: "Ten frames on" },
  { group: "Film", action: "back10", keys: ["Shift+ArrowLeft"], text: "Ten frames back" },
  { group: "Film", action: "loop", keys: ["l"], text: "Repeat this mark" },
  { group: "Film", action: "speed1", keys: ["1"], text: "Full speed" },
  { group: "Film", action: "speed2", keys: ["2"], text: "Half speed" },
  { group: "Film", action: "speed3", keys: ["3"], text: "Quarter speed" },
  { group: "Film", action: "speed4", keys: ["4"], text: "Eighth speed" },
  { group: "Film", action: "help", keys: ["?"], text: "All keys" },
];

export class References {
  /** @type {Choosable[]} */ #marks = [];
  /** @type {import("./stage.js").Film | null} */ #film = null;
  /** @type {import("./stage.js").Mark[]} */ #bars = [];
  #place = -1;
  #position = 0;
  #speed = 0.25;
  /** @type {Partial<Moments>} */ #moments = {};
  /** @type {Promise<unknown>} */ #tail = Promise.resolve();

  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.films = /** @type {HTMLSelectElement} */ (view.byId("films"));
    this.stage = new Stage(view, {
      marks: () => this.#bars,
      selected: () => null,
      select: (id) => this.#enqueue(() => this.#choose(this.#marks.findIndex((mark) => mark.mark_id === id))),
      drag: () => {},
      frame: () => {},
      state: () => {},
    });
    this.actions = this.#actions();
    this.names = new Map(BINDINGS.flatMap(({ action, keys }) => keys.map((key) => [key, action])));
  }

  get mark() { return this.#marks[this.#place] ?? null; }

  get moments() { return this.#moments; }

  begin() {
    this.view.prepareKeys(BINDINGS);
    listen(document, (name) => {
      const action = this.names.get(name);
      if (action !== undefined) this.#enqueue(() => this.actions[action]());
      return action !== undefined;
    });
    this.view.onAction((action) => this.#enqueue(() => this.actions[action]()));
    this.view.onSpeed((speed) => this.#setSpeed(speed));
    this.view.onMark((id) => this.#enqueue(() => this.#choose(this.#marks.findIndex((mark) => mark.mark_id === id))));
    this.films.addEventListener("change", () => this.#enqueue(() => this.#open(Number(this.films.value))));
    return this.#enqueue(() => this.#list());
  }

  /** Resolves when everything asked for so far is done. */
  idle() { return this.#tail; }

  /** @param {() => unknown} action */
  #enqueue(action) {
    this.#tail = this.#tail.then(action).catch((error) => this.view.say(error.message));
    return this.#tail;
  }

  /** @returns {Record<string, () => unknown>} */
  #actions() {
    const step = (/** @type {number} */ count) => () => this.#player()?.step(count);
    const speeds = Object.fromEntries(SPEEDS.map((speed, place) => [`speed${place + 1}`, () => this.#setSpeed(speed)]));
    const moments = Object.fromEntries(MOMENTS.map((name) => [name, () => this.#set(name)]));
    return {
      ...speeds, ...moments,
      store: () => this.#store(), remove: () => this.#remove(),
      next: () => this.#neighbour(1), previous: () => this.#neighbour(-1),
      toggle: () => this.#player()?.toggle(), loop: () => this.#loop(),
      forward: step(1), back: step(-1), forward10: step(10), back10: step(-10),
      help: () => this.view.showHelp(),
    };
  }

  #player() { return this.stage.hasFilm ? this.stage.player : null; }

  /** @param {number} speed */
  #setSpeed(speed) {
    this.#speed = speed;
    this.view.showSpeed(speed);
    this.#player()?.setSpeed(speed);
  }

  async #list() {
    const films = /** @type {FilmCount[]} */ (await ask("/api/references"));
    this.view.byId("nothing").hidden = films.length > 0;
    this.view.byId("references").hidden = films.length === 0;
    this.films.replaceChildren(...films.map(({ position, video_id: name, marks, references }) => {
      const option = /** @type {HTMLOptionElement} */ (this.view.copy("film-template"));
      option.value = String(position);
      option.textContent = `${name} (${references} of ${marks})`;
      return option;
    }));
    const chosen = films.find(({ position }) => position === this.#position) ?? films[0];
    if (chosen === undefined) return;
    this.films.value = String(chosen.position);
    if (chosen.position !== this.#position) await this.#open(chosen.position);
  }

  /** @param {number} position */
  async #open(position) {
    const { video, marks } = await ask(`/api/references/${position}`);
    this.#position = position;
    this.#film = video;
    this.#take(marks);
    this.#choose(0);
  }

  /** @param {Choosable[]} marks */
  #take(marks) {
    this.#marks = marks;
    this.#bars = marks.map(({ mark_id, revision, start_frame, end_frame, label, moments }) =>
      ({ mark_id, revision, start_frame, end_frame, label: moments === null ? null : label, removed: false }));
    this.stage.ask();
  }

  /** @param {number} place */
  #choose(place) {
    if (this.#marks[place] === undefined) return;
    this.#place = place;
    this.#moments = { ...this.#marks[place].moments };
    this.#show();
    this.#loop();
  }

  /** @param {1 | -1} direction */
  #neighbour(direction) {
    if (this.#marks[this.#place + direction] === undefined) this.view.say(direction > 0 ? "There is no later mark." : "There is no earlier mark.");
    else this.#choose(this.#place + direction);
  }

  #loop() {
    const { mark } = this;
    if (mark !== null && this.#film !== null) this.stage.show(this.#film, { start: mark.start_frame, end: mark.end_frame }, this.#speed);
  }

  /** @param {Moment} name */
  async #set(name) {
    const { mark } = this;
    const frame = await this.#player()?.settled();
    if (mark === null || typeof frame !== "number") {
      this.view.say("The picture's number cannot be read: nothing was set.");
      return;
    }
    this.#player()?.pause();
    this.#player()?.seek(frame);
    this.#moments = { ...this.#moments, [name]: frame };
    this.#show();
    this.view.say(`${WORDS[name]}: frame ${frame}. ${problemOf(this.#moments, mark) ?? "Press Y to store."}`);
  }

  async #store() {
    const { mark } = this;
    const problem = mark === null ? "Choose a mark first." : problemOf(this.#moments, mark);
    if (mark === null || problem !== null) {
      this.view.say(problem ?? "");
      return;
    }
    await this.#send(mark, /** @type {Moments} */ (this.#moments), "Stored: a reference stroke.");
  }

  async #remove() {
    const { mark } = this;
    if (mark === null || mark.moments === null) this.view.say("This mark is no reference stroke.");
    else await this.#send(mark, null, "It is no reference stroke any more.");
  }

  /** @param {Choosable} mark @param {Moments | null} moments @param {string} said */
  async #send({ mark_id, assignment_id, revision }, moments, said) {
    await ask("/api/references", { uuid: uuid(), mark_id, assignment_id, revision, moments });
    const { marks } = await ask(`/api/references/${this.#position}`);
    this.#take(marks);
    this.#place = this.#marks.findIndex((mark) => mark.mark_id === mark_id);
    this.#moments = { ...this.mark?.moments };
    this.#show();
    this.view.say(said);
    await this.#list();
  }

  #show() {
    const { view, mark } = this;
    if (mark === null) return;
    view.byId("mark-title").textContent = mark.label;
    view.byId("mark-frames").textContent = `Frames ${mark.start_frame} to ${mark.end_frame - 1}${mark.moments === null ? "" : ", a reference stroke"}`;
    for (const name of MOMENTS) view.byId(`moment-${name}`).textContent = String(this.#moments[name] ?? "-");
    const held = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.id : undefined;
    const from = Math.max(0, Math.min(this.#marks.length - LISTED, this.#place - LISTED / 2));
    view.byId("marks").replaceChildren(...this.#marks.slice(from, from + LISTED).map((each) => {
      const item = view.copy("mark-template");
      const button = /** @type {HTMLElement} */ (item.querySelector("button"));
      button.dataset.id = each.mark_id;
      button.setAttribute("aria-pressed", String(each === mark));
      button.classList.toggle("open", each.moments === null);
      /** @type {HTMLElement} */ (button.querySelector(".what")).textContent = each.label;
      /** @type {HTMLElement} */ (button.querySelector(".number")).textContent =
        `${each.start_frame} to ${each.end_frame - 1}${each.moments === null ? "" : ", reference"}`;
      return item;
    }));
    if (held !== undefined) /** @type {HTMLElement | null} */ (view.byId("marks").querySelector(`[data-id="${held}"]`))?.focus();
  }
}

const references = new References(new View(document));
// For tests and for those who look for a fault.
Object.assign(globalThis, { references });
await references.begin();
