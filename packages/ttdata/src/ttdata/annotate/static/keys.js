// Keys by what is printed on them (`event.key`), whatever the keyboard's layout.

/** @typedef {{action: string, keys: string[], text: string, group: string}} Binding */

/** @type {Binding[]} */
export const BINDINGS = [
  { group: "Film", action: "toggle", keys: [" "], text: "Play or pause" },
  { group: "Film", action: "forward", keys: ["ArrowRight"], text: "One frame on" },
  { group: "Film", action: "back", keys: ["ArrowLeft"], text: "One frame back" },
  { group: "Film", action: "forward10", keys: ["Shift+ArrowRight"], text: "Ten frames on" },
  { group: "Film", action: "back10", keys: ["Shift+ArrowLeft"], text: "Ten frames back" },
  { group: "Film", action: "speed1", keys: ["1"], text: "Full speed" },
  { group: "Film", action: "speed2", keys: ["2"], text: "Half speed" },
  { group: "Film", action: "speed3", keys: ["3"], text: "Quarter speed" },
  { group: "Film", action: "speed4", keys: ["4"], text: "Eighth speed" },
  { group: "Film", action: "first", keys: ["Home"], text: "First frame" },
  { group: "Film", action: "last", keys: ["End"], text: "Last frame" },
  { group: "Film", action: "closer", keys: ["z"], text: "A closer look at the middle (or turn the wheel)" },
  { group: "Film", action: "whole", keys: ["0"], text: "The whole picture" },
  { group: "Film", action: "unseen", keys: ["g"], text: "First frame not yet seen" },
  { group: "Mark", action: "start", keys: ["i"], text: "The stroke begins with this frame" },
  { group: "Mark", action: "end", keys: ["o"], text: "This is the stroke's last frame" },
  { group: "Mark", action: "label", keys: ["t"], text: "Name the stroke" },
  { group: "Mark", action: "startBack", keys: ["q"], text: "Start one frame back" },
  { group: "Mark", action: "startOn", keys: ["w"], text: "Start one frame on" },
  { group: "Mark", action: "endBack", keys: ["e"], text: "End one frame back" },
  { group: "Mark", action: "endOn", keys: ["r"], text: "End one frame on" },
  { group: "Mark", action: "loop", keys: ["l"], text: "Repeat this mark at quarter speed, or stop" },
  { group: "Mark", action: "remove", keys: ["x", "Delete"], text: "Remove this mark" },
  { group: "Mark", action: "next", keys: ["n", "ArrowDown"], text: "Next mark" },
  { group: "Mark", action: "previous", keys: ["p", "ArrowUp"], text: "Previous mark" },
  { group: "Mark", action: "leave", keys: ["Escape"], text: "Leave this mark" },
  { group: "Work", action: "undo", keys: ["u", "Ctrl+z"], text: "Undo" },
  { group: "Work", action: "redo", keys: ["y", "Ctrl+y", "Ctrl+Shift+z"], text: "Redo" },
  { group: "Work", action: "zoomIn", keys: ["+"], text: "Timeline: nearer" },
  { group: "Work", action: "zoomOut", keys: ["-"], text: "Timeline: farther" },
  { group: "Work", action: "done", keys: ["Shift+Enter"], text: "The video is done" },
  { group: "Work", action: "help", keys: ["?"], text: "All keys" },
];

const NAMES = new Map([[" ", "Space"], ["ArrowLeft", "\u2190"], ["ArrowRight", "\u2192"], ["ArrowUp", "\u2191"], ["ArrowDown", "\u2193"]]);

/** A key as it is shown to people. @param {string} key */
export const shownKey = (key) => key.split(/(?<=.)\+/u).map((part) => NAMES.get(part) ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ");

/**
 * The name of a pressed key: `a`, `?`, `Shift+ArrowLeft`, `Ctrl+z`. Letters are small; on a keyboard
 * without Latin letters the key's place tells the letter.
 * @param {{key: string, code?: string, shiftKey?: boolean, ctrlKey?: boolean, metaKey?: boolean}} event
 */
export function nameOf({ key, code = "", shiftKey = false, ctrlKey = false, metaKey = false }) {
  let name = key;
  const isLetter = key.length === 1 && /\p{L}/u.test(key);
  if (isLetter) name = (!/[a-z]/i.test(key) && /^Key[A-Z]$/.test(code) ? code.slice(3) : key).toLowerCase();
  const withControl = ctrlKey || metaKey;
  const withShift = shiftKey && (key.length > 1 || (withControl && isLetter));
  return `${withControl ? "Ctrl+" : ""}${withShift ? "Shift+" : ""}${name}`;
}

/**
 * Call the action of a pressed key. Fields that take keys themselves keep them.
 * @param {EventTarget} target
 * @param {(name: string, event: KeyboardEvent) => boolean} press whether the key was used
 */
export function listen(target, press) {
  target.addEventListener("keydown", (raised) => {
    const event = /** @type {KeyboardEvent} */ (raised);
    const at = event.target instanceof Element ? event.target : null;
    if (event.altKey || event.isComposing || at?.closest("input, textarea, select, dialog")) return;
    if ((event.key === " " || event.key === "Enter") && !event.shiftKey && at?.closest("button, a, summary")) return;
    if (press(nameOf(event), event)) event.preventDefault();
  });
}
