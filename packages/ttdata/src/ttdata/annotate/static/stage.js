// A film and its timeline for one place after the other, in whatever video each is.
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";

/** @typedef {{name: string, url: string, fps: number, num_frames: number, width: number, height: number}} Film */
/** @typedef {import("./marks.js").Mark} Mark */

const NOTHING = { spans: [], hints: [] };

export class Stage {
  /** @type {Player | null} */ #player = null;
  /** @type {Timeline | null} */ #timeline = null;
  #url = "";

  /**
   * @param {import("./view.js").View} view
   * @param {{marks: () => Mark[], selected: () => Mark | null, select: (id: string) => void,
   *   drag: (id: string, which: "start" | "end", frame: number) => void, frame: () => void, state: () => void}} work
   */
  constructor(view, work) {
    this.view = view;
    this.work = work;
  }

  /** @returns {Player} */
  get player() {
    if (this.#player === null) throw new Error("no film yet");
    return this.#player;
  }

  get hasFilm() { return this.#player !== null; }

  /** Show a place of a film in a loop. @param {Film} film @param {import("./player.js").Segment} place @param {number} speed */
  show(film, place, speed) {
    if (film.url !== this.#url) this.#open(film, place.start);
    const { player } = this;
    player.setSpeed(speed);
    this.view.showSpeed(speed);
    player.setLoop(place);
    this.#timeline?.fit(place.start, place.end);
  }

  /** Draw the timeline anew: the marks have changed. */
  ask() { this.#timeline?.ask(); }

  /** @param {number} factor */
  zoom(factor) { this.#timeline?.zoom(factor); }

  /** @returns {Timeline | null} */
  get timeline() { return this.#timeline; }

  /** @param {Film} film @param {number} first */
  #open(film, first) {
    this.#url = film.url;
    this.#player?.pause();
    // A player goes with its film: another film gets another element.
    const before = this.view.byId("film");
    const element = /** @type {HTMLVideoElement} */ (before.cloneNode(false));
    before.replaceWith(element);
    const box = this.view.byId("frame-box").style;
    box.setProperty("--wide", String(film.width));
    box.setProperty("--high", String(film.height));
    element.src = film.url;
    const player = new Player(element, { fps: film.fps, numFrames: film.num_frames, first });
    const isShown = () => this.#player === player;
    player.addEventListener("frame", () => { if (isShown()) this.#frame(); });
    player.addEventListener("state", () => { if (isShown()) this.#state(); });
    this.#player = player;
    this.#timeline ??= this.#makeTimeline();
    this.#state();
  }

  #makeTimeline() {
    const { work } = this;
    const stage = this;
    return new Timeline(this.view.canvas, {
      get numFrames() { return stage.player.numFrames; },
      get fps() { return stage.player.fps; },
      marks: work.marks,
      selected: work.selected,
      others: () => NOTHING,
      frame: () => this.player.aim,
      seek: (frame) => this.#scrub(frame),
      select: work.select,
      drag: work.drag,
    });
  }

  // Whoever looks for a frame wants to see it: what repeats stands still.
  /** @param {number} frame */
  #scrub(frame) {
    this.player.pause();
    this.player.seek(frame);
  }

  #frame() {
    const { player } = this;
    this.view.byId("number").textContent = `Frame ${player.frame ?? "-"} of ${player.numFrames}`;
    this.#timeline?.ask();
    this.work.frame();
  }

  #state() {
    const { player, view } = this;
    view.byId("toggle").textContent = player.isPlaying ? "Pause" : "Play";
    view.byId("number").setAttribute("aria-live", player.isPlaying ? "off" : "polite");
    const problems = { unreadable: "The picture's number cannot be read.", error: "The film cannot be played." };
    view.byId("state").textContent = problems[/** @type {"error"} */ (player.state)] ?? "";
    this.work.state();
  }
}
