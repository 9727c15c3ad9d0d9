// Marks as bars: which lane each lies in, and which lie in sight.

/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {{mark: Mark, start: number, end: number, lane: number}} Bar in frames, end exclusive */

export const LANES = 3;

/**
 * Bars of marks, each in the first lane that is free; beyond the last lane they lie upon others.
 * @param {Mark[]} marks by time @returns {{bars: Bar[], longest: number}}
 */
export function barsOf(marks) {
  const free = new Array(LANES).fill(-Infinity);
  let longest = 1;
  const bars = marks.map((mark) => {
    const start = mark.start_frame ?? Number(mark.end_frame) - 1;
    const end = mark.end_frame ?? start + 1;
    const found = free.findIndex((until) => until <= start);
    const lane = found < 0 ? LANES - 1 : found;
    free[lane] = Math.max(free[lane], end);
    longest = Math.max(longest, end - start);
    return { mark, start, end, lane };
  });
  return { bars, longest };
}

/** The place of the first bar that may reach beyond a frame. @param {Bar[]} bars @param {number} frame @param {number} longest */
export function firstInSight(bars, frame, longest) {
  let low = 0;
  let high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bars[middle].start + longest < frame) low = middle + 1;
    else high = middle;
  }
  return low;
}
