"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

// --- films: one picture that holds all frames, and a script that says where they and the joints are
const asked = new Map(); // by name: what waits for the film's script
const films = new Map(); // by name: a promise of the film

// Called by the scripts of films: a page from the disk may load scripts, but read no files.
function film(name, facts) { asked.get(name)?.(facts); }

function load(name) {
  if (!films.has(name)) {
    const facts = new Promise((resolve, reject) => {
      asked.set(name, resolve);
      const script = document.createElement("script");
      script.src = `../films/${encodeURIComponent(name)}.js`;
      script.onerror = () => reject(new Error(`${script.src} is missing`));
      document.head.append(script);
    });
    films.set(name, facts.then(async (found) => {
      const image = new Image();
      image.src = `../films/${encodeURIComponent(found.file)}`;
      await image.decode();
      return { ...found, picture: await createImageBitmap(image) };
    }));
  }
  return films.get(name);
}
function forgetAllBut(names) {
  for (const [name, found] of films) {
    if (names.includes(name)) continue;
    films.delete(name);
    found.then((old) => old.picture.close(), () => {});
  }
}

// --- times: frames are those of the videos, seconds are counted from contact
// A side is a stroke with its film; `zero` is its frame at contact, or its first where that is unknown.
function secondsOf(side, frame) {
  const { seconds, first } = side.film;
  const place = frame - first;
  const near = Math.max(0, Math.min(place, seconds.length - 1));
  return seconds[near] + (place - near) / side.fps;
}
function sinceContact(side, frame) { return secondsOf(side, frame) - secondsOf(side, side.zero); }
// The frame that is nearest to a time; of two as near the earlier. Before and after the film its edges.
function frameAt(side, since) {
  const { seconds, first } = side.film;
  const wanted = secondsOf(side, side.zero) + since;
  let best = 0;
  for (let place = 1; place < seconds.length; place += 1) {
    if (Math.abs(seconds[place] - wanted) < Math.abs(seconds[best] - wanted) - 1e-6) best = place;
  }
  return first + best;
}
function clamped(side, frame) {
  return Math.max(side.film.first, Math.min(frame, side.film.first + side.film.seconds.length - 1));
}
// All frames of the stroke's film, and before and after them as many as the other film needs.
function rangeOf(own, other) {
  const last = (side) => side.film.first + side.film.seconds.length - 1;
  let [low, high] = [own.film.first, last(own)];
  if (other !== null) {
    const ends = [other.film.first, last(other)].map((frame) => sinceContact(other, frame));
    low = Math.min(low, Math.ceil(own.zero + ends[0] * own.fps - 1e-6));
    high = Math.max(high, Math.floor(own.zero + ends[1] * own.fps + 1e-6));
  }
  return [low, high];
}

// --- drawing
const BONES = [[1, 2], [1, 3], [3, 5], [2, 4], [4, 6], [7, 8], [1, 7], [2, 8], [7, 9], [9, 11], [8, 10], [10, 12]];
const [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER] = [0, 1, 2];
const [LEFT_WRIST, RIGHT_WRIST, LEFT_HIP, RIGHT_HIP] = [5, 6, 7, 8];
const STYLES = { own: { color: "#1257a8", dash: [] }, other: { color: "#c2410c", dash: [7, 5] } };
const SHARP = 2; // pixels of a canvas per pixel of a film: lines stay fine

function joint(side, frame, number) {
  const row = side.film.points?.[frame - side.film.first];
  return row === undefined || row === null || row[2 * number] === null ? null : [row[2 * number], row[2 * number + 1]];
}
function hips(side, frame) {
  const [left, right] = [joint(side, frame, LEFT_HIP), joint(side, frame, RIGHT_HIP)];
  return left && right && [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
}
// How points of one film are laid over another: hips on hips, as large, a left-hander turned round.
function layer(side, frame, onto, ontoFrame) {
  const [from, to] = [hips(side, frame), hips(onto, ontoFrame)];
  if (!from || !to || !side.film.torso || !onto.film.torso) return null;
  const scale = onto.film.torso / side.film.torso;
  const turned = side.stroke.left === onto.stroke.left ? 1 : -1;
  return ([x, y]) => [to[0] + turned * scale * (x - from[0]), to[1] + scale * (y - from[1])];
}
function strokeLine(pen, points, style, width) {
  if (points.length < 2) return;
  pen.beginPath();
  points.forEach(([x, y], place) => (place === 0 ? pen.moveTo(x, y) : pen.lineTo(x, y)));
  pen.lineJoin = pen.lineCap = "round";
  pen.setLineDash([]);
  pen.strokeStyle = "rgb(255 255 255 / .8)";
  pen.lineWidth = width + 2;
  pen.stroke();
  pen.setLineDash(style.dash);
  pen.strokeStyle = style.color;
  pen.lineWidth = width;
  pen.stroke();
}
function drawSkeleton(pen, side, frame, place, style) {
  for (const [start, end] of BONES) {
    const ends = [joint(side, frame, start), joint(side, frame, end)];
    if (ends[0] && ends[1]) strokeLine(pen, ends.map(place), style, 2);
  }
  drawHead(pen, side, frame, place, style);
}
// Of a head only the nose is known: a ring about it, as large as heads are.
function drawHead(pen, side, frame, place, style) {
  const [nose, left, right] = [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER].map((number) => joint(side, frame, number));
  if (!nose || !left || !right) return;
  const [middle, neck] = [nose, [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2]].map(place);
  const away = Math.hypot(neck[0] - middle[0], neck[1] - middle[1]);
  if (away === 0) return;
  const radius = 0.45 * away;
  const turns = [...Array(25).keys()].map((number) => number / 12 * Math.PI);
  strokeLine(pen, turns.map((turn) => [middle[0] + radius * Math.cos(turn), middle[1] + radius * Math.sin(turn)]), style, 2);
}
// The bat's wrist seen from the hips, from ready to the end, as if the hips stood still.
function drawPath(pen, side, frame, place, style) {
  const { ready, end } = side.stroke.moments;
  const wrist = side.stroke.left ? LEFT_WRIST : RIGHT_WRIST;
  const here = hips(side, frame);
  if (!here) return;
  const points = [];
  let now = null;
  for (let at = clamped(side, ready ?? side.stroke.first); at <= clamped(side, end ?? side.stroke.last); at += 1) {
    const [hand, middle] = [joint(side, at, wrist), hips(side, at)];
    if (!hand || !middle) continue;
    const point = place([hand[0] - middle[0] + here[0], hand[1] - middle[1] + here[1]]);
    points.push(point);
    if (at === frame) now = point;
  }
  strokeLine(pen, points, style, 2);
  if (now === null) return;
  pen.beginPath();
  pen.arc(now[0], now[1], 4.5, 0, 2 * Math.PI);
  pen.fillStyle = style.color;
  pen.strokeStyle = "#fff";
  pen.lineWidth = 1.5;
  pen.setLineDash([]);
  pen.fill();
  pen.stroke();
}
function drawFrame(canvas, side, frame) {
  const { picture, columns, width, height, first } = side.film;
  const place = frame - first;
  if (canvas.width !== width * SHARP || canvas.height !== height * SHARP) {
    canvas.width = width * SHARP;
    canvas.height = height * SHARP;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(SHARP, 0, 0, SHARP, 0, 0);
  pen.drawImage(picture, (place % columns) * width, Math.floor(place / columns) * height, width, height, 0, 0, width, height);
  return pen;
}
const same = (point) => point;
function drawOver(pen, side, frame, place, style) {
  if (place === null) return;
  if (byId("paths").checked) drawPath(pen, side, frame, place, style);
  if (byId("skeletons").checked) drawSkeleton(pen, side, frame, place, style);
}

// --- what is shown
let own = null; // sides
let other = null;
let frame = 0; // of the stroke's video; may lie before and after its film
let since = 0; // seconds from contact, while the films play
let playing = false;
let before = null; // when the last picture was drawn

function draw() {
  if (own === null) return;
  const shown = clamped(own, frame);
  const pen = drawFrame(byId("own"), own, shown);
  let text = `Frame ${shown}`;
  byId("now").dataset.own = shown;
  delete byId("now").dataset.other;
  if (other !== null) {
    const beside = frameAt(other, sinceContact(own, frame));
    const second = drawFrame(byId("other"), other, beside);
    drawOver(pen, other, beside, layer(other, beside, own, shown), STYLES.other);
    drawOver(second, other, beside, same, STYLES.other);
    byId("now").dataset.other = beside;
    text += `, reference's frame ${beside}`;
  }
  drawOver(pen, own, shown, same, STYLES.own);
  byId("now").textContent = `${text}; ${spoken(sinceContact(own, frame))}`;
  byId("scrub").value = frame;
  byId("scrub").setAttribute("aria-valuetext", byId("now").textContent);
}
function spoken(seconds) {
  const from = own.known ? "contact" : "the begin";
  const size = Math.round(Math.abs(seconds) * 1000);
  if (size === 0) return `at ${from}`;
  return `${size} ms ${seconds < 0 ? "before" : "after"} ${from}`;
}
function show(wanted) {
  frame = Math.max(Number(byId("scrub").min), Math.min(wanted, Number(byId("scrub").max)));
  since = own === null ? 0 : sinceContact(own, frame);
  draw();
}
function step(count) { play(false); show(frame + count); }
function play(on) {
  playing = on && own !== null;
  before = null;
  byId("play").textContent = playing ? "Stop" : "Play";
  if (playing) requestAnimationFrame(tick);
}
function playFromStart() {
  if (!playing && frame >= Number(byId("scrub").max)) show(Number(byId("scrub").min));
  play(!playing);
}
function tick(now) {
  if (!playing) return;
  const [low, high] = [Number(byId("scrub").min), Number(byId("scrub").max)];
  if (before !== null) since += (now - before) / 1000 * Number(byId("speed").value);
  before = now;
  if (since > sinceContact(own, high)) {
    if (!byId("loop").checked) { show(high); play(false); return; }
    since = sinceContact(own, low);
  }
  frame = low;
  while (frame < high && sinceContact(own, frame + 1) <= since) frame += 1;
  draw();
  requestAnimationFrame(tick);
}

// --- which stroke
let chosen = null;
let beside = null;
let turn = 0; // films that come late are of a former choice

async function sideOf(stroke, none, canvas) {
  const missing = (text) => { none.textContent = text; none.hidden = false; canvas.hidden = true; return null; };
  if (stroke === null) return missing("No reference to show.");
  if (stroke.film === null) return missing("There is no film of this stroke.");
  try {
    const loaded = await load(stroke.film);
    return { stroke, film: loaded, fps: stroke.fps };
  } catch (error) {
    return missing(`The film cannot be shown: ${error.message}`);
  }
}
async function showFilms() {
  const mine = ++turn;
  play(false);
  const [stroke, reference] = [data.strokes[chosen], beside === null ? null : data.strokes[beside]];
  forgetAllBut([stroke.film, reference?.film]);
  for (const id of ["own", "other"]) { byId(id).hidden = false; byId(`${id}-none`).hidden = true; }
  own = other = null;
  const found = await Promise.all([
    sideOf(stroke, byId("own-none"), byId("own")), sideOf(reference, byId("other-none"), byId("other")),
  ]);
  if (mine !== turn) return;
  [own, other] = found;
  const contacts = found.filter((side) => side !== null).map((side) => side.stroke.moments.contact);
  const known = contacts.every((contact) => contact !== null);
  byId("together").textContent = known ? "Both films are at contact at the same time." : "Contact is not known: both films begin together.";
  for (const side of found) {
    if (side === null) continue;
    side.known = known;
    side.zero = known ? side.stroke.moments.contact : side.stroke.first;
  }
  // Without a film of the stroke the reference is looked at alone.
  if (own === null && other !== null) { drawFrame(byId("other"), other, clamped(other, other.zero)); }
  for (const control of all(".controls button, .controls input")) control.disabled = own === null;
  for (const button of all(".moment")) {
    button.disabled = own === null || own.stroke.moments[button.dataset.moment] === null;
  }
  if (own === null) { byId("now").textContent = "\u00a0"; byId("now").removeAttribute("data-own"); drawStills(); return; }
  const [low, high] = rangeOf(own, other);
  Object.assign(byId("scrub"), { min: low, max: high });
  drawStills();
  show(own.zero);
}
function drawStills() {
  const names = [["ready", "Ready"], ["contact", "Contact"], ["end", "End"]];
  byId("stills").replaceChildren();
  for (const [side, who, style] of [[own, "This stroke", STYLES.own], [other, "Reference", STYLES.other]]) {
    if (side === null) continue;
    for (const [moment, name] of names) {
      const at = side.stroke.moments[moment];
      if (at === null) continue;
      const [box, canvas, caption] = ["figure", "canvas", "figcaption"].map((tag) => document.createElement(tag));
      const pen = drawFrame(canvas, side, clamped(side, at));
      drawSkeleton(pen, side, clamped(side, at), same, style);
      caption.textContent = `${who}: ${name.toLowerCase()}, frame ${at}`;
      box.append(caption, canvas);
      byId("stills").append(box);
    }
  }
}
function choose(id, scroll) {
  chosen = id;
  const stroke = data.strokes[id];
  byId("own-name").textContent = stroke.name + (stroke.reference ? " (reference)" : "");
  byId("beside").replaceChildren(...stroke.beside.map((name, place) => {
    const text = data.strokes[name].name + (place === 0 ? " (nearest)" : "");
    return new Option(text, name);
  }));
  byId("beside").disabled = stroke.beside.length === 0;
  beside = stroke.beside[0] ?? null;
  for (const part of all(".detail")) part.hidden = part.dataset.stroke !== id;
  for (const button of all(".choose")) {
    const current = button.dataset.stroke === id;
    button.closest("tr").classList.toggle("current", current);
    if (current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  if (scroll) document.querySelector(".films").scrollIntoView({ block: "start" });
  return showFilms();
}
function move(count) {
  const place = data.order.indexOf(chosen) + count;
  choose(data.order[(place + data.order.length) % data.order.length], false);
}
function goTo(moment) {
  const at = own?.stroke.moments[moment] ?? null;
  if (at !== null) { play(false); show(at); }
}
function toggle(id) { byId(id).checked = !byId(id).checked; draw(); }
function speed(place) { byId("speed").selectedIndex = place; }

const keys = {
  ",": () => step(-1), ".": () => step(1), " ": playFromStart, c: () => goTo("contact"), l: () => toggle("loop"),
  s: () => toggle("skeletons"), w: () => toggle("paths"), n: () => move(1), p: () => move(-1),
  1: () => speed(0), 2: () => speed(1), 3: () => speed(2), 4: () => speed(3),
};
document.addEventListener("keydown", (event) => {
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const pressing = event.key === " " && event.target.closest("button, input[type=checkbox]");
  if (event.target.closest("select") || pressing || action === undefined) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
});
byId("back").addEventListener("click", () => step(-1));
byId("on").addEventListener("click", () => step(1));
byId("play").addEventListener("click", playFromStart);
byId("scrub").addEventListener("input", (event) => { play(false); show(Number(event.target.value)); });
byId("beside").addEventListener("change", (event) => { beside = event.target.value; showFilms(); });
for (const id of ["skeletons", "paths"]) byId(id).addEventListener("change", draw);
for (const button of all(".moment")) button.addEventListener("click", () => goTo(button.dataset.moment));
for (const button of all(".choose")) button.addEventListener("click", () => choose(button.dataset.stroke, true));
byId("no-script").remove();
choose(data.order.find((name) => !data.strokes[name].reference) ?? data.order[0], false);
