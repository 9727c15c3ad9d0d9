// The three moments of a reference stroke.

/**
 * @typedef {"ready" | "contact" | "end"} Moment
 * @typedef {Record<Moment, number>} Moments
 * @typedef {{mark_id: string, assignment_id: string, revision: number, start_frame: number, end_frame: number,
 *   label: string, moments: Moments | null}} Choosable
 */

/** @type {Moment[]} */
export const MOMENTS = ["ready", "contact", "end"];
export const WORDS = { ready: "Ready", contact: "Contact", end: "End" };

/**
 * Why these are no moments of a mark, or null.
 * @param {Partial<Moments>} moments @param {Choosable} mark
 */
export function problemOf(moments, mark) {
  const missing = MOMENTS.filter((name) => moments[name] === undefined);
  if (missing.length > 0) return `Still to set: ${missing.map((name) => WORDS[name].toLowerCase()).join(", ")}.`;
  const { ready, contact, end } = /** @type {Moments} */ (moments);
  if (ready < mark.start_frame || end >= mark.end_frame) return `All three lie within frames ${mark.start_frame} to ${mark.end_frame - 1}.`;
  return ready < contact && contact < end ? null : "Ready comes before contact, contact before the end.";
}
