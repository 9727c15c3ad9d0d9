// A label in three keys: type, hand, technique. The letters follow from the taxonomy.

/**
 * @typedef {{label: string, type?: string | null, hand?: string | null, technique?: string | null}} Stroke
 * @typedef {{strokes: Stroke[], negative?: string | null}} Taxonomy
 * @typedef {{word: string, key: string | null, possible: boolean}} Choice key: null where none is left
 */

const DEPTH = 3;
export const NO_MORE = ""; // the word that ends a label which is the beginning of another

/** The words of a class, at most three. @param {Stroke} stroke */
function wordsOf({ label, type, hand, technique }) {
  if (type && hand && technique) return [type, hand, technique];
  const words = label.trim().split(/[\s_]+/u);
  return words.length <= DEPTH ? words : [...words.slice(0, DEPTH - 1), words.slice(DEPTH - 1).join(" ")];
}

/**
 * Every word gets its initial, or else its first letter that no other one has: a to z and digits alone,
 * which every keyboard has or `keys.js` finds by their place. @param {string[]} words
 */
function keysOf(words) {
  /** @type {Map<string, string | null>} */ const keys = new Map(words.map((word) => [word, word === NO_MORE ? "." : null]));
  const isFree = (/** @type {string} */ key) => /^[a-z0-9]$/.test(key) && ![...keys.values()].includes(key);
  const give = (/** @type {(word: string) => string[]} */ letters) => {
    for (const [word, key] of keys) keys.set(word, key ?? letters(word.toLowerCase().normalize("NFD")).find(isFree) ?? null);
  };
  give((word) => [...word].slice(0, 1));
  give((word) => [...word, ..."abcdefghijklmnopqrstuvwxyz0123456789"]);
  return keys;
}

export class Labels {
  /** @param {Taxonomy} taxonomy */
  constructor(taxonomy) {
    const strokes = [...taxonomy.strokes, ...(taxonomy.negative ? [{ label: taxonomy.negative }] : [])];
    const classes = strokes.map((stroke) => ({ label: stroke.label, words: wordsOf(stroke) }));
    const begins = (/** @type {string[]} */ words) => classes.some((other) =>
      other.words.length > words.length && words.every((word, level) => other.words[level] === word));
    this.classes = classes.map(({ label, words }) => ({ label, words: begins(words) ? [...words, NO_MORE] : words }));
    const levels = Math.max(...this.classes.map(({ words }) => words.length));
    this.levels = Array.from({ length: levels }, (_, level) =>
      keysOf([...new Set(this.classes.flatMap(({ words }) => words.slice(level, level + 1)))]));
  }

  /** The next words after those that are chosen, all of them, possible or not. @param {string[]} chosen @returns {Choice[]} */
  choices(chosen) {
    const possible = new Set(this.#after(chosen).map(({ words }) => words[chosen.length]));
    return [...(this.levels[chosen.length] ?? [])].map(([word, key]) => ({ word, key, possible: possible.has(word) }));
  }

  /** The word of a key, if it is possible. @param {string[]} chosen @param {string} key */
  wordOf(chosen, key) {
    return this.choices(chosen).find((choice) => choice.key === key.toLowerCase() && choice.possible)?.word ?? null;
  }

  /** The label that is chosen, or null where a word is still to come. @param {string[]} chosen */
  labelOf(chosen) {
    const found = this.#after(chosen).find(({ words }) => words.length === chosen.length);
    return found?.label ?? null;
  }

  /** @param {string[]} chosen */
  #after(chosen) {
    return this.classes.filter(({ words }) => chosen.every((word, level) => words[level] === word));
  }
}
