// The frame's number from the strip below a proxy's picture; `proxies/strip.py` draws it.

const BLOCK = 16; // px
const NUMBER_BITS = 20;
const CHECK_BITS = 4;
const BITS = NUMBER_BITS + CHECK_BITS;
const CHECK_START = 0b1010;
const DARKEST_WHITE = 160;
const BRIGHTEST_BLACK = 96;

/**
 * Where the blocks lie below a picture of this width.
 * @param {number} width in px
 * @returns {{columns: number, rows: number, height: number}}
 */
export function stripLayout(width) {
  const columns = Math.max(1, Math.min(BITS, Math.floor(width / BLOCK)));
  const rows = Math.ceil(BITS / columns);
  return { columns, rows, height: rows * BLOCK };
}

/**
 * The number that blocks stand for, or null if one is grey or the check bits do not fit.
 * @param {number[]} shades of the blocks, 0 to 255, most significant first
 * @returns {number | null}
 */
export function numberOf(shades) {
  if (shades.some((shade) => shade > BRIGHTEST_BLACK && shade < DARKEST_WHITE)) return null;
  const bits = shades.map((shade) => Number(shade >= DARKEST_WHITE));
  const word = bits.slice(0, BITS).reduce((all, bit) => all * 2 + bit, 0);
  const number = word >> CHECK_BITS;
  let check = CHECK_START;
  for (let place = 0; place < NUMBER_BITS; place += CHECK_BITS) check ^= (number >> place) & 15;
  return check === (word & 15) ? number : null;
}

/** Reads the strip of the picture that a video element holds. */
export class StripReader {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.context = /** @type {CanvasRenderingContext2D} */ (
      document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  }

  /** @returns {number | null} */
  read() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return null;
    const { columns, rows, height } = stripLayout(videoWidth);
    const width = columns * BLOCK;
    const canvas = this.context.canvas;
    // An assigned size clears the canvas: nothing is drawn of a video without a picture.
    canvas.width = width;
    canvas.height = height;
    this.context.drawImage(this.video, 0, videoHeight - height, width, height, 0, 0, width, height);
    const { data } = this.context.getImageData(0, 0, width, height);
    const shades = [];
    for (let place = 0; place < rows * columns && place < BITS; place += 1) {
      shades.push(shadeOf(data, width, (place % columns) * BLOCK, Math.floor(place / columns) * BLOCK));
    }
    return numberOf(shades);
  }
}

/**
 * The mean green of the middle of a block.
 * @param {Uint8ClampedArray} data @param {number} width @param {number} left @param {number} top
 */
function shadeOf(data, width, left, top) {
  const margin = BLOCK / 4;
  let sum = 0;
  for (let y = top + margin; y < top + BLOCK - margin; y += 1) {
    for (let x = left + margin; x < left + BLOCK - margin; x += 1) sum += data[4 * (y * width + x) + 1];
  }
  return sum / (BLOCK / 2) ** 2;
}
