// The live wall: server-sent events where they come through, else asked for every few seconds.

/**
 * @typedef {{pseudonym: string, role: string, is_here: boolean, video: string | null, marks: number, marks_last_hour: number,
 *   last_at: number | null, unsent: number, videos_done: number}} WallPerson
 * @typedef {{at: number, people: WallPerson[], coverage: {videos: number, done: number, begun: number, marks: number}}} WallState
 */

const POLL_MS = 5000;
const TICK_MS = 5000;
const SAY_MS = 10_000; // a screen reader is told no more often
const NOW_MS = 15_000;

const body = /** @type {HTMLTableSectionElement} */ (document.querySelector("#wall tbody"));
const template = /** @type {HTMLTemplateElement} */ (document.getElementById("wall-row"));
/** @type {Map<string, HTMLTableRowElement>} */ const rows = new Map();
/** @type {WallState | null} */ let state = null;
let receivedAt = 0;
let saidAt = -SAY_MS;

/** How long ago, in words. @param {number | null} at @param {number} now */
function ago(at, now) {
  if (at === null) return "nothing yet";
  if (now - at < NOW_MS) return "just now";
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return "under a minute ago";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 24 * 60 ? `${Math.floor(minutes / 60)} h ago` : "more than a day ago";
}

/** @param {Element} parent @param {string} selector @param {string} text @param {string} [kind] */
function put(parent, selector, text, kind) {
  const place = /** @type {HTMLElement} */ (parent.querySelector(selector));
  if (place.textContent !== text) place.textContent = text;
  if (kind !== undefined) place.className = `${selector.slice(1)} ${kind}`;
}

/** @param {WallPerson} person */
function rowOf(person) {
  const known = rows.get(person.pseudonym);
  if (known) return known;
  const row = /** @type {HTMLTableRowElement} */ (template.content.firstElementChild?.cloneNode(true));
  put(row, ".who", person.pseudonym);
  /** @type {HTMLAnchorElement} */ (row.querySelector(".who")).href = `/teacher/people/${encodeURIComponent(person.pseudonym)}`;
  rows.set(person.pseudonym, row);
  return row;
}

/** @param {WallPerson} person @param {number} now */
function showPerson(person, now) {
  const row = rowOf(person);
  put(row, ".state", person.is_here ? "here" : "away", person.is_here ? "here" : "away");
  put(row, ".video", person.video ?? "-");
  put(row, ".marks", String(person.marks));
  put(row, ".hour", String(person.marks_last_hour));
  put(row, ".idle", ago(person.last_at, now));
  put(row, ".unsent", String(person.unsent), person.unsent > 0 ? "number waiting" : "number");
  put(row, ".done", String(person.videos_done));
  return row;
}

function show() {
  if (state === null) return;
  const now = state.at + performance.now() - receivedAt;
  const shown = state.people.map((person) => showPerson(person, now));
  const names = new Set(state.people.map((person) => person.pseudonym));
  for (const [name, row] of rows) if (!names.has(name)) { row.remove(); rows.delete(name); }
  shown.forEach((row, place) => { if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null); });
  /** @type {HTMLElement} */ (document.getElementById("wall-empty")).hidden = shown.length > 0;
  const { coverage } = state;
  put(document.body, "#videos-done", String(coverage.done));
  put(document.body, "#videos", String(coverage.videos));
  put(document.body, "#videos-begun", String(coverage.begun));
  put(document.body, "#marks", String(coverage.marks));
  say(now);
}

/** One short sentence for those who cannot see the table, seldom. @param {number} now */
function say(now) {
  if (state === null || now - saidAt < SAY_MS) return;
  const here = state.people.filter((person) => person.is_here);
  const waiting = state.people.filter((person) => person.unsent > 0).map((person) => person.pseudonym);
  const text = `${here.length} of ${state.people.length} are here.`
    + (waiting.length > 0 ? ` Changes not yet sent: ${waiting.join(", ")}.` : "");
  const place = /** @type {HTMLElement} */ (document.getElementById("wall-said"));
  if (place.textContent !== text) { place.textContent = text; saidAt = now; }
}

/** @param {string} text */
function complain(text) {
  const place = /** @type {HTMLElement} */ (document.getElementById("wall-problem"));
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === "";
}

/** @param {WallState} found */
function take(found) {
  state = found;
  receivedAt = performance.now();
  complain("");
  show();
}

const OVER = "You are logged out: this table stands still. Log in again.";

async function poll() {
  try {
    const answer = await fetch("/api/teacher/wall", { cache: "no-store", redirect: "error" });
    if (answer.status === 401 || answer.status === 403) { complain(OVER); return; }
    if (answer.ok) take(await answer.json());
    else complain(`The server answers ${answer.status}.`);
  } catch {
    complain("The server cannot be reached. Trying again.");
  }
  setTimeout(poll, POLL_MS);
}

function listen() {
  const source = new EventSource("/api/teacher/wall/stream");
  source.addEventListener("wall", (event) => take(JSON.parse(event.data)));
  setTimeout(() => { // something on the way holds the stream back
    if (state === null && source.readyState !== EventSource.CLOSED) { source.close(); poll(); }
  }, POLL_MS);
  source.addEventListener("end", () => { source.close(); complain(OVER); });
  source.addEventListener("error", () => {
    // While it tries again by itself the page asks; what is closed for good stays with asking.
    if (source.readyState === EventSource.CLOSED) poll();
    else complain("The server cannot be reached. Trying again.");
  });
}

setInterval(show, TICK_MS);
if ("EventSource" in globalThis) listen(); else poll();
