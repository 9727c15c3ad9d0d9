"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const film = document.getElementById("film");
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const frame = 1 / data.fps;
let current = -1;
let playing = false; // whether the chosen stroke is played, so that the film stops at its end
let painted = 0; // when the frame in the picture begins; after a seek, the one to come
let sought = null; // where the page itself sent the film, until it plays on or is sent elsewhere

// Asked for at all times: after pause() and a seek, Chromium may keep the old picture otherwise.
function paint(_, shown) {
  // The picture may be of an earlier seek, and of a frame that lasts longer than a step.
  if (sought === null) painted = shown.mediaTime;
  film.requestVideoFrameCallback(paint);
}

const isShown = (number) => {
  const stroke = data.strokes[number];
  const labels = new Set(all(".label:checked").map((box) => box.value));
  return labels.has(stroke.label) && 100 * stroke.score >= Number(byId("certainty").value);
};
const shown = () => data.strokes.map((_, number) => number).filter(isShown);
const isTicked = (number) => document.querySelector(`.chosen[data-number="${number}"]`).checked;
const taken = () => shown().filter(isTicked).map((number) => data.strokes[number]);

// Half a frame on: a seek to a frame's very start may show the one before. Steps beyond the end are
// not counted; where frame times are uneven, the last frame may be much shorter than others.
function seek(seconds) {
  const last = film.duration > frame ? film.duration - 0.6 * frame : Infinity; // not known at first
  painted = Math.max(0, Math.min(seconds, last));
  sought = painted + frame / 2;
  film.currentTime = sought;
}

// From then on the picture says where the film is.
function playOn() { if (!film.paused && !film.seeking) sought = null; }
function sentElsewhere() {
  if (sought !== null && Math.abs(film.currentTime - sought) > frame / 4) sought = null;
}

function choose(number, play) {
  current = number;
  const stroke = data.strokes[number];
  for (const element of all(".now")) element.classList.remove("now");
  for (const element of all(`[data-number="${number}"]`)) {
    if (element.matches(".card, .track .stroke")) element.classList.add("now");
  }
  byId("now").textContent = `${number + 1} of ${data.strokes.length}: ${stroke.label}, ${Math.round(100 * stroke.score)} % sure`;
  seek(stroke.start_seconds);
  playing = play;
  if (play) film.play().catch(() => { playing = false; });
}

function move(step) {
  const numbers = shown();
  if (numbers.length === 0) return;
  const place = numbers.findIndex((number) => number >= current);
  let next;
  if (current < 0) next = step > 0 ? 0 : numbers.length - 1;
  else if (place < 0) next = step > 0 ? 0 : numbers.length - 1;
  else if (numbers[place] === current) next = place + step;
  else next = step > 0 ? place : place - 1;
  choose(numbers[(next + numbers.length) % numbers.length], true);
  const card = document.querySelector(`.card[data-number="${current}"]`);
  if (card !== null) card.scrollIntoView({ block: "nearest" });
}

function tick() {
  const stroke = data.strokes[current];
  if (playing && stroke !== undefined && film.currentTime >= stroke.end_seconds - frame / 2) {
    if (byId("loop").checked) seek(stroke.start_seconds);
    else { film.pause(); playing = false; seek(stroke.end_seconds - frame); }
  }
  const head = byId("head");
  if (head !== null && film.duration > 0) head.style.left = `${100 * film.currentTime / film.duration}%`;
  requestAnimationFrame(tick);
}

function filter() {
  byId("certainty-shown").textContent = `${byId("certainty").value} %`;
  const visible = new Set(shown());
  for (const element of all(".card, .track .stroke")) element.hidden = !visible.has(Number(element.dataset.number));
  for (const lane of all(".lane")) lane.hidden = lane.querySelector(".stroke:not([hidden])") === null;
  count();
}
function count() { byId("taken").textContent = `${taken().length} of ${data.strokes.length} strokes taken along.`; }

// A cell that a spreadsheet would compute becomes text.
const cell = (value) => {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
function csvOf(strokes) {
  const names = ["start_frame", "end_frame", "label", "start_seconds", "end_seconds", "score"];
  const rows = strokes.map((stroke) => [data.video, ...names.map((name) => stroke[name])].map(cell).join(","));
  return ["video_id," + names.join(","), ...rows, ""].join("\n");
}

// Timecodes count at most 60 frames a second: 120 fps are counted in pairs of frames.
function timecode(frames, rate) {
  const two = (value) => String(value).padStart(2, "0");
  const seconds = Math.floor(frames / rate);
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60, frames % rate].map(two).join(":");
}
function cutsOf(strokes) {
  let rate = Math.max(1, Math.round(data.fps));
  while (rate > 60) rate = Math.ceil(rate / 2);
  let place = 0;
  const lines = [`TITLE: ${data.video}`, "FCM: NON-DROP FRAME", ""];
  strokes.forEach((stroke, index) => {
    const begin = Math.floor(stroke.start_seconds * rate + 1e-6);
    const end = Math.max(begin + 1, Math.ceil(stroke.end_seconds * rate - 1e-6));
    const times = [begin, end, place, place + end - begin].map((value) => timecode(value, rate));
    place += end - begin;
    lines.push(`${String(index + 1).padStart(3, "0")}  AX       V     C        ${times.join(" ")}`);
    lines.push(`* FROM CLIP NAME: ${data.file}`, `* COMMENT: ${stroke.label}, ${Math.round(100 * stroke.score)} %`);
  });
  return [...lines, ""].join("\n");
}
function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function toggle(id) { byId(id).checked = !byId(id).checked; }
const stem = data.video.replaceAll(/[^\p{L}\p{N}._-]+/gu, "_");
function step(count) { playing = false; film.pause(); seek(painted + count * frame); }
function speed(index) { byId("speed").selectedIndex = index; film.playbackRate = Number(byId("speed").value); }
function take() {
  const box = document.querySelector(`.chosen[data-number="${current}"]`);
  if (box !== null) { box.checked = !box.checked; count(); }
}
const keys = {
  n: () => move(1), ArrowRight: () => move(1), p: () => move(-1), ArrowLeft: () => move(-1),
  " ": () => { playing = false; if (film.paused) film.play(); else film.pause(); },
  r: () => { if (current >= 0) choose(current, true); }, l: () => toggle("loop"), x: take,
  ",": () => step(-1), ".": () => step(1), 1: () => speed(0), 2: () => speed(1), 3: () => speed(2), 4: () => speed(3),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input[type=range], select, video, fieldset");
  const pressing = event.key === " " && event.target.closest("button, input");
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (typing || pressing || action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
});
for (const button of all("button.stroke")) button.addEventListener("click", () => choose(Number(button.dataset.number), true));
for (const box of all(".label")) box.addEventListener("change", filter);
for (const box of all(".chosen")) box.addEventListener("change", count);
byId("previous").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("again").addEventListener("click", () => (current >= 0 ? choose(current, true) : move(1)));
byId("speed").addEventListener("change", (event) => speed(event.target.selectedIndex));
film.addEventListener("play", playOn);
film.addEventListener("seeked", playOn);
film.addEventListener("seeking", sentElsewhere);
film.addEventListener("error", () => { byId("film-error").hidden = false; });
if (data.strokes.length > 0) {
  byId("certainty").addEventListener("input", filter);
  for (const [id, state] of [["all-labels", true], ["no-labels", false]]) {
    byId(id).addEventListener("click", () => { for (const box of all(".label")) box.checked = state; filter(); });
  }
  byId("save-csv").addEventListener("click", () => save(`${stem}.csv`, csvOf(taken())));
  byId("save-cuts").addEventListener("click", () => save(`${stem}.edl`, cutsOf(taken())));
  filter();
}
requestAnimationFrame(tick);
if ("requestVideoFrameCallback" in film) film.requestVideoFrameCallback(paint);
else film.addEventListener("timeupdate", () => { painted = film.currentTime - frame / 2; });
