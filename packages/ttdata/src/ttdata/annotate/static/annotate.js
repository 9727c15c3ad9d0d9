// The annotator's page: one person, one video. Fetches what is there and joins the parts.
import { Feedback } from "./feedback.js";
import { Marks } from "./marks.js";
import { Others } from "./others.js";
import { Later, Outbox, Refused, sizeOf } from "./outbox.js";
import { Player } from "./player.js";
import { reportPresence } from "./presence.js";
import { Seen } from "./seen.js";
import { uuid } from "./uuid.js";
import { View } from "./view.js";
import { Work } from "./work.js";

/**
 * In the element `#page`, set by the server.
 * @typedef {{assignment: string, data: string, events: string, presence?: string, feedback?: string}} Page
 * data: URL of Data; events: URL that takes events by POST, one JSON object each, and under `/last` an array;
 * presence: URL that is told that this page is there; feedback: URL of what training tells
 *
 * @typedef {{video: {name: string, url: string, fps: number, num_frames: number, width: number, height: number},
 *   taxonomy: import("./labels.js").Taxonomy, marks: import("./marks.js").Mark[], seen: [number, number][],
 *   state: "open" | "done", person?: string} & import("./others.js").Findings} Data
 * width, height: of the proxy's picture, in px, without its strip
 */

const DRAIN_MS = 5000;
const SEEN_MS = 5000;
const LOG_IN = "Log in again, in another tab.";
const FULL = "The server's disk is full: tell your teacher.";
const CHANGED = "Somebody has changed this mark: look at it again.";

/** @type {Page} */
const page = JSON.parse(document.getElementById("page")?.textContent ?? "");
const view = new View(document);
/** @type {Marks | null} */ let marks = null;
/** @type {Work | null} */ let work = null;
/** @type {Others | null} */ let others = null;
/** @type {Feedback | null} */ let feedback = null;
/** @type {Set<unknown>} */ const outdated = new Set(); // uuids of changes that build on a refused one

/** Hand an event to the server. @param {import("./outbox.js").Item} item */
async function send(item) {
  if (outdated.has(item.uuid)) throw new Refused(CHANGED);
  const answer = await fetch(page.events, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    redirect: "error", // a page to log in is no answer
    body: JSON.stringify(item),
  });
  if (answer.ok) return;
  if (answer.status === 409) {
    const { mark } = await answer.json();
    if (mark) marks?.replace(mark);
    for (const later of outbox.waiting) if (later.mark === item.mark) outdated.add(later.uuid);
    throw new Refused(CHANGED);
  }
  if ([400, 413, 422].includes(answer.status)) {
    throw new Refused(`Not stored, load this page again. ${(await reason(answer)).slice(0, 300)}`);
  }
  if ([401, 403].includes(answer.status)) throw new Error(LOG_IN);
  if (answer.status === 507) throw new Error(FULL);
  const pause = Number(answer.headers.get("Retry-After"));
  if (answer.status === 429 && pause > 0) throw new Later("The server takes them one after the other.", 1000 * pause);
  throw new Error(`The server answers ${answer.status}.`);
}

const outbox = await new Outbox({
  name: `ttdata-annotate-${page.assignment}`,
  send,
  refused: ({ body }, error) => {
    if (/** @type {{kind: string}} */ (body).kind === "done") work?.goOn();
    view.say(error.message);
  },
  changed: (state) => {
    view.showOutbox(state);
    if (state.pending === 0) finished();
    if (state.pending === 0) feedback?.sent();
  },
}).open();

if (page.presence) reportPresence(page.presence, page.assignment, () => outbox.state.pending);

// What an earlier page could not send comes first: the server's marks are without it.
const until = performance.now() + DRAIN_MS;
while (outbox.state.pending > 0 && performance.now() < until) await new Promise((resolve) => { setTimeout(resolve, 50); });

/** Why an answer is none, for people. @param {Response} answer */
async function reason(answer) {
  if ([401, 403].includes(answer.status)) return LOG_IN;
  const { error } = await answer.json().catch(() => ({}));
  return typeof error === "string" ? `The server says: ${error}` : `The server answers ${answer.status}.`;
}

/** @returns {Promise<Data>} */
async function load() {
  for (;;) {
    try {
      const answer = await fetch(page.data, { cache: "no-store" });
      if (answer.ok && outbox.state.pending === 0) return await answer.json();
      view.showProblem(answer.ok ? "Marks made earlier are still being sent." : await reason(answer));
    } catch (error) {
      view.showProblem(`The server cannot be reached: ${error}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

const data = await load();
view.showProblem(null);
const { video } = data;
view.byId("who").textContent = data.person ?? "";
const resumeKey = `ttdata-annotate-frame-${page.assignment}`;
const film = { fps: video.fps, numFrames: video.num_frames };

/** @param {Omit<import("./marks.js").MarkEvent, "uuid"> & {uuid?: string}} event */
const post = (event) => {
  feedback?.expect(event.body.kind);
  return outbox.put({ ...event, assignment: page.assignment, uuid: event.uuid ?? uuid() })
    .catch((error) => view.say(`This browser could not keep the last change: ${error}`));
};

marks = new Marks({ ...film, marks: data.marks, emit: post, changed: () => work?.marksChanged() });
const made = marks;
if (page.feedback) feedback = new Feedback(view, { url: page.feedback, marks: () => made.all });
feedback?.ask();
const seen = new Seen(film.numFrames, film.fps / 2, data.seen);
view.film.src = video.url;
const player = new Player(view.film, { ...film, first: Number(localStorage.getItem(resumeKey) ?? 0) });
others = new Others({ view, seek: (frame) => player.seek(frame) });
work = new Work({ view, player, marks, seen, data, tellSeen, others });
work.begin();
finished();

/** Once the server knows that the video is done, it shows what others marked. */
async function finished() {
  const isDone = work?.isDone === true && outbox.state.pending === 0;
  view.showNext(isDone);
  if (!isDone || others === null) return;
  const answer = await fetch(page.data, { cache: "no-store" }).catch(() => null);
  if (answer?.ok) others.show(await answer.json());
  work?.timeline.ask();
}

function tellSeen() {
  for (let spans = seen.take(); spans.length > 0; spans = seen.take()) {
    post({ mark: null, base_revision: null, body: { kind: "seen", spans } });
  }
  if (player.frame !== null) localStorage.setItem(resumeKey, String(player.frame));
}
setInterval(tellSeen, SEEN_MS);

let handed = 0; // bytes that were handed over and have not arrived: browsers limit their sum

/** The page goes, perhaps before its browser has kept the last change: hand over what waits. */
function leave() {
  tellSeen();
  const items = outbox.last(handed).filter((item) => !outdated.has(item.uuid));
  if (items.length === 0) return;
  const size = sizeOf(items);
  handed += size;
  fetch(`${page.events}/last`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    redirect: "error",
    keepalive: true,
    body: JSON.stringify(items),
  }).catch(() => {}) // what is kept is sent again
    .finally(() => { handed -= size; });
}
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") leave(); });

// On a computer that several people use, what waits would wait until this one comes back.
document.querySelector("form.account")?.addEventListener("submit", (event) => {
  if (outbox.state.pending === 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  view.say("Not everything is sent yet: wait, then log out.");
}, { capture: true });

// For tests and for those who look for a fault.
Object.assign(globalThis, { annotate: { player, marks, outbox, seen, work } });
