// Plays a proxy and knows the frame that it shows: by the strip alone, never by the clock.
import { StripReader } from "./strip.js";

/**
 * loading: no picture yet; seeking: another frame was asked for; still: the picture is the frame;
 * unreadable: the picture has no number that can be read; error: the film cannot be played.
 * @typedef {"loading" | "playing" | "seeking" | "still" | "unreadable" | "error"} State
 * @typedef {{start: number, end: number}} Segment end exclusive
 */

const PRESENTED_MS = 250; // from the end of a seek until a picture is presented, if ever
const PATIENCE_MS = 500; // until it is the right one
const ATTEMPTS = 4;
const SETTLE_MS = 8000;

/** Dispatches "frame" when a picture was read and "state" when the state changed. */
export class Player extends EventTarget {
  /** @type {number | null} */ #frame = null; // of the picture, as read
  /** @type {number | null} */ #target = null; // asked for and not yet seen
  #issued = -1; // the target of the seek in progress
  #seeking = false;
  #came = false; // whether the issued frame was presented since
  #attempts = 0;
  #waited = 0; // when the seek ended
  #playing = false;
  #presented = false;
  #failed = false;
  /** @type {State} */ #state = "loading";
  /** @type {Segment | null} */ #loop = null;
  /** @type {Array<() => void>} */ #waiting = [];

  /**
   * @param {HTMLVideoElement} video
   * @param {{fps: number, numFrames: number, first?: number}} film first: the frame to begin at
   * @param {{read(): number | null}} [reader]
   */
  constructor(video, film, reader = new StripReader(video)) {
    super();
    this.video = video;
    this.fps = film.fps;
    this.numFrames = film.numFrames;
    this.reader = reader;
    video.addEventListener("loadedmetadata", () => this.#issue());
    video.addEventListener("seeked", () => this.#seeked());
    video.addEventListener("pause", () => this.#paused());
    video.addEventListener("error", () => { this.#failed = true; this.#update(); });
    // Asked for at all times: Chromium may keep the old picture after a pause and a seek otherwise.
    const presented = () => {
      video.requestVideoFrameCallback(presented);
      this.#look();
      this.#came ||= this.#frame === this.#issued;
      if (this.#came && !this.#seeking && this.#target === this.#issued) this.#arrive();
    };
    video.requestVideoFrameCallback(presented);
    this.seek(film.first ?? 0);
  }

  /** The number of the picture's frame; null where it cannot be read. */
  get frame() { return this.#frame; }

  /** @returns {State} */
  get state() { return this.#state; }

  get isPlaying() { return this.#playing; }

  /** The frame that the picture is or will be. */
  get aim() { return this.#target ?? this.#frame; }

  /** Whether the picture's number may be stored. */
  get canMark() { return this.#frame !== null && (this.#state === "still" || this.#state === "playing"); }

  /** Show a frame; of several unawaited calls the last one counts. @param {number} frame */
  seek(frame) {
    this.#target = Math.max(0, Math.min(this.numFrames - 1, Math.round(frame)));
    this.#attempts = 0;
    this.#issue();
    this.#update();
  }

  /** Pause and go on by some frames, backward where negative. @param {number} count */
  step(count) {
    const from = this.aim;
    if (this.#playing) {
      this.#playing = false;
      this.video.pause();
      this.#look();
    }
    if (from !== null) this.seek((this.#target ?? this.#frame ?? from) + count);
  }

  play() {
    if (this.aim !== null && this.aim >= this.numFrames - 1) this.seek(this.#loop?.start ?? 0);
    this.#playing = true;
    this.video.play().catch(() => { if (this.#playing && this.video.paused) this.#rest(); });
    this.#update();
  }

  /** Pause at the frame that the picture shows. */
  pause() {
    if (!this.#playing) return;
    this.video.pause();
    this.#rest();
  }

  toggle() {
    if (this.#playing) this.pause();
    else this.play();
  }

  /** @param {number} speed 1, 1/2, 1/4 or 1/8 */
  setSpeed(speed) {
    this.video.defaultPlaybackRate = speed;
    this.video.playbackRate = speed;
  }

  get speed() { return this.video.playbackRate; }

  /** Repeat a segment from now on, or nothing. @param {Segment | null} segment */
  setLoop(segment) {
    this.#loop = segment;
    if (segment !== null) {
      this.seek(segment.start);
      this.play();
    }
  }

  get loop() { return this.#loop; }

  /**
   * The number of the picture once it is the frame that was asked for last; null where it cannot be
   * read or does not come.
   * @param {number} [patience] in ms
   * @returns {Promise<number | null>}
   */
  async settled(patience = SETTLE_MS) {
    const isSettled = () => this.#target === null || this.#playing || this.#state === "error";
    const until = performance.now() + patience;
    while (!isSettled() && performance.now() < until) {
      await new Promise((resolve) => {
        this.#waiting.push(() => resolve(null));
        setTimeout(resolve, Math.max(0, until - performance.now()));
      });
    }
    return this.canMark ? this.#frame : null;
  }

  // Half a frame on: a seek to a frame's very start shows the one before in a third of the cases.
  #issue() {
    if (this.#seeking || this.#target === null || this.video.readyState === 0) return;
    this.#seeking = true;
    this.#came = false;
    this.#issued = this.#target;
    this.video.currentTime = (this.#target + 0.5) / this.fps;
  }

  #seeked() {
    this.#seeking = false;
    if (this.#target !== null && this.#target !== this.#issued) {
      this.#issue();
      return;
    }
    if (this.#came) this.#arrive();
    this.#waited = performance.now();
    this.#await();
  }

  // The picture is presented a little before or after the end of the seek; in a window that nobody
  // sees it is not, and the film's memory has to do.
  #await() {
    if (this.#target === null || this.#seeking) return;
    const waited = performance.now() - this.#waited;
    if (waited > PRESENTED_MS) {
      this.#look();
      if (this.#frame === this.#target) this.#arrive();
    }
    if (this.#target === null) return;
    if (waited < PATIENCE_MS) {
      setTimeout(() => this.#await(), 16);
      return;
    }
    this.#attempts += 1;
    if (this.#attempts < ATTEMPTS) this.#issue();
    else this.#arrive(); // the picture is another frame, which has its own number
  }

  #arrive() {
    this.#target = null;
    this.#update();
    for (const go of this.#waiting.splice(0)) go();
  }

  #look() {
    this.#frame = this.reader.read();
    this.#presented ||= this.#frame !== null || this.video.readyState >= 2;
    if (this.#playing && this.#target !== null && !this.#seeking) this.#arrive();
    const loop = this.#loop;
    if (loop !== null && this.#playing && !this.#seeking && this.#frame !== null && this.#frame >= loop.end - 1) {
      this.seek(loop.start);
    }
    this.#update();
    this.dispatchEvent(new CustomEvent("frame", { detail: this.#frame }));
  }

  // The film may be between two frames, or a picture behind: the picture's frame is sought.
  #rest() {
    this.#playing = false;
    const before = this.#frame;
    this.#look();
    const shown = this.#frame ?? before;
    if (this.#target === null && shown !== null) this.seek(shown);
    this.#update();
  }

  #paused() {
    if (!this.#playing) return;
    if (this.video.ended && this.#loop !== null) {
      this.seek(this.#loop.start);
      this.play();
    } else {
      // The last picture may have been left out, as any other while the film plays.
      if (this.video.ended) this.seek(this.numFrames - 1);
      this.#rest();
    }
  }

  /** @returns {State} */
  #now() {
    if (this.#failed) return "error";
    if (!this.#presented) return "loading";
    if (this.#playing) return this.#frame === null ? "unreadable" : "playing";
    if (this.#target !== null) return "seeking";
    return this.#frame === null ? "unreadable" : "still";
  }

  #update() {
    const state = this.#now();
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
