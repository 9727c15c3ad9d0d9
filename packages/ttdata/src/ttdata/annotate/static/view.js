// What the page shows. Text goes in by textContent alone, elements come from templates.
import { shownKey } from "./keys.js";
import { isComplete } from "./marks.js";
import { NO_MORE } from "./labels.js";

const LISTED = 60; // marks, around the one that is chosen
const STATES = {
  loading: "Loading", playing: "", seeking: "", still: "",
  unreadable: "The picture's number cannot be read: marking is off.", error: "The film cannot be played.",
};

export class View {
  /** @param {Document} document */
  constructor(document) {
    this.document = document;
    this.film = /** @type {HTMLVideoElement} */ (this.byId("film"));
    this.canvas = /** @type {HTMLCanvasElement} */ (this.byId("timeline"));
    this.speed = /** @type {HTMLSelectElement} */ (this.byId("speed"));
    this.help = /** @type {HTMLDialogElement} */ (this.byId("help"));
  }

  /** @param {string} id */
  byId(id) { return /** @type {HTMLElement} */ (this.document.getElementById(id)); }

  /** The first element of a template. @param {string} id */
  copy(id) {
    const template = /** @type {HTMLTemplateElement} */ (this.byId(id));
    return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  }

  /** @param {import("./annotate.js").Data} data @param {import("./keys.js").Binding[]} bindings */
  prepare({ video }, bindings) {
    this.byId("name").textContent = video.name;
    this.document.title = `${video.name}: mark strokes`;
    const box = this.byId("frame-box").style;
    box.setProperty("--wide", String(video.width));
    box.setProperty("--high", String(video.height));
    this.prepareKeys(bindings);
  }

  /** List all keys, and say on each button which is its own. @param {import("./keys.js").Binding[]} bindings */
  prepareKeys(bindings) {
    for (const group of new Set(bindings.map((binding) => binding.group))) {
      const section = this.copy("group-template");
      /** @type {HTMLElement} */ (section.querySelector("h3")).textContent = group;
      const rows = bindings.filter((binding) => binding.group === group).map(({ keys, text }) => {
        const row = this.copy("key-template");
        row.querySelector("dt")?.append(...keys.map((key) => {
          const element = this.copy("kbd-template");
          element.textContent = shownKey(key);
          return element;
        }));
        /** @type {HTMLElement} */ (row.querySelector("dd")).textContent = text;
        return row;
      });
      section.querySelector("dl")?.append(...rows);
      this.byId("keys").append(section);
    }
    for (const { action, keys } of bindings) {
      for (const button of this.#buttons(action)) {
        button.title = `Key: ${keys.map(shownKey).join(" or ")}`;
        button.setAttribute("aria-keyshortcuts", keys.map((key) => (key === " " ? "Space" : key.replace("Ctrl", "Control"))).join(" "));
      }
    }
  }

  /** @param {(action: string) => void} run */
  onAction(run) {
    this.document.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("[data-action]")) : null;
      if (button?.dataset.action) run(button.dataset.action);
    });
  }

  /** @param {(id: string) => void} select */
  onMark(select) {
    this.byId("marks").addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".mark")) : null;
      if (button?.dataset.id) select(button.dataset.id);
    });
  }

  /** @param {(word: string) => void} choose */
  onChoice(choose) {
    this.byId("choices").addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".choice")) : null;
      if (button !== null) choose(button.dataset.word ?? "");
    });
  }

  /** @param {(speed: number) => void} set */
  onSpeed(set) { this.speed.addEventListener("change", () => set(Number(this.speed.value))); }

  /** @param {number} speed */
  showSpeed(speed) { this.speed.value = String(speed); }

  /** @param {string} text */
  say(text) { this.byId("said").textContent = text; }

  /** @param {string | null} text */
  showProblem(text) {
    this.byId("film-problem").hidden = text === null;
    this.byId("film-problem").textContent = text;
  }

  /** @param {import("./outbox.js").OutboxState} state */
  showOutbox({ pending, problem, stored }) {
    const kept = stored ? "kept in this browser" : "not kept if you close this page";
    this.byId("outbox").textContent = pending === 0
      ? "Everything is sent." : `${pending} change${pending > 1 ? "s" : ""} to be sent, ${kept}.${problem ? ` ${problem}` : ""}`;
  }

  /** @param {number | null} frame @param {number} numFrames @param {import("./seen.js").Seen} seen */
  showFrame(frame, numFrames, seen) {
    this.byId("number").textContent = `Frame ${frame ?? "-"} of ${numFrames}`;
    this.byId("seen").textContent = `${Math.floor((100 * seen.count) / numFrames)} % seen`;
  }

  /** @param {import("./player.js").Player} player @param {boolean} isDone */
  showState(player, isDone) {
    this.byId("toggle").textContent = player.isPlaying ? "Pause" : "Play";
    this.byId("state").textContent = isDone ? "This video is done." : STATES[player.state];
    this.byId("number").setAttribute("aria-live", player.isPlaying ? "off" : "polite");
    const canMark = !isDone && (player.canMark || player.state === "seeking");
    for (const action of ["start", "end"]) for (const button of this.#buttons(action)) button.disabled = !canMark;
    for (const button of this.#buttons("done")) button.disabled = isDone;
  }

  /** @param {import("./marks.js").Mark} mark */
  textOf({ start_frame: start, end_frame: end, label }) {
    return `${label ?? "No name"}, frames ${start ?? "?"} to ${end === null ? "?" : end - 1}`;
  }

  /** @param {import("./marks.js").Marks} marks */
  showMark(marks) {
    const mark = marks.selected;
    const number = mark === null ? 0 : marks.all.indexOf(mark) + 1;
    this.byId("mark-title").textContent = mark === null ? "No mark chosen" : `Mark ${number} of ${marks.all.length}`;
    this.byId("mark-start").textContent = String(mark?.start_frame ?? "-");
    this.byId("mark-last").textContent = mark === null || mark.end_frame === null ? "-" : String(mark.end_frame - 1);
    this.byId("mark-label").textContent = mark?.label ?? "-";
    this.byId("warnings").replaceChildren(...(mark === null ? [] : marks.warnings(mark)).map(({ text }) => {
      const item = this.copy("warning-template");
      item.textContent = text;
      return item;
    }));
  }

  /** @param {import("./marks.js").Marks} marks */
  showMarks(marks) {
    const { all, selected } = marks;
    const place = selected === null ? all.length - 1 : all.indexOf(selected);
    const from = Math.max(0, Math.min(all.length - LISTED, place - LISTED / 2));
    const held = this.document.activeElement instanceof HTMLElement ? this.document.activeElement.dataset.id : undefined;
    const items = all.slice(from, from + LISTED).map((mark) => {
      const item = this.copy("mark-template");
      const button = /** @type {HTMLElement} */ (item.querySelector("button"));
      button.dataset.id = mark.mark_id;
      button.setAttribute("aria-pressed", String(mark === selected));
      button.classList.toggle("open", !isComplete(mark));
      /** @type {HTMLElement} */ (button.querySelector(".what")).textContent = mark.label ?? "No name";
      /** @type {HTMLElement} */ (button.querySelector(".number")).textContent =
        `${mark.start_frame ?? "?"} to ${mark.end_frame === null ? "?" : mark.end_frame - 1}`;
      return item;
    });
    this.byId("list-title").textContent = all.length > LISTED ? `Marks ${from + 1} to ${from + items.length} of ${all.length}` : `Marks: ${all.length}`;
    this.byId("marks").replaceChildren(...items);
    if (held !== undefined) /** @type {HTMLElement | null} */ (this.byId("marks").querySelector(`[data-id="${held}"]`))?.focus();
    this.canvas.setAttribute("aria-label", `Timeline of the video: ${all.length} ${all.length === 1 ? "mark" : "marks"}`);
  }

  /** @param {string[] | null} chosen @param {import("./labels.js").Choice[]} choices */
  showChoices(chosen, choices) {
    this.byId("namer").hidden = chosen === null;
    this.byId("namer-title").textContent = chosen === null || chosen.length === 0 ? "Name the stroke" : chosen.join(" ");
    this.byId("choices").replaceChildren(...choices.map(({ word, key, possible }) => {
      const button = /** @type {HTMLButtonElement} */ (this.copy("choice-template"));
      button.dataset.word = word;
      button.disabled = !possible;
      const kbd = /** @type {HTMLElement} */ (button.querySelector("kbd"));
      kbd.hidden = key === null;
      kbd.textContent = key === null ? "" : shownKey(key);
      /** @type {HTMLElement} */ (button.querySelector("span")).textContent = word === NO_MORE ? "no more" : word;
      return button;
    }));
  }

  showHelp() { this.help.showModal(); }

  /** @param {boolean} canGoOn */
  showNext(canGoOn) { this.byId("next").hidden = !canGoOn; }

  /** @param {string} action @returns {HTMLButtonElement[]} */
  #buttons(action) { return [...this.document.querySelectorAll(/** @type {"button"} */ (`button[data-action="${action}"]`))]; }
}
