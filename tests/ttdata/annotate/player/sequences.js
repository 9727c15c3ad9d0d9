// Random uses of marks.js: what must never be, and what a server makes of the events.
async ([sequences, operations]) => {
  const { Marks, isComplete } = await import("/static/marks.js");
  let state = 12345;
  const random = (n) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return Math.floor(state / 2 ** 32 * n); };
  const faults = [], log = [], shown = [], N = 400;
  let made = 0, dones = 0, undone = 0;
  for (let sequence = 0; sequence < sequences; sequence += 1) {
    const events = [], asked = new Set();
    const marks = new Marks({ numFrames: N, fps: 120, emit: (event) => events.push(event) });
    const frame = () => [0, N - 1, random(N), random(40), random(N)][random(5)];
    const acts = [
      () => { const f = frame(); const why = marks.setStart(f); if (f === 0 && why === null) asked.add(marks.selected.mark_id); },
      () => marks.setLast(frame()),
      () => marks.setLabel(["Push", "Loop", null][random(3)]),
      () => marks.nudge(["start", "end"][random(2)], random(21) - 10),
      () => { const all = marks.all; if (all.length) marks.moveBound(all[random(all.length)].mark_id, ["start", "end"][random(2)], random(3 * N) - N); },
      () => marks.select(marks.all.length && random(3) ? marks.all[random(marks.all.length)].mark_id : null),
      () => { const mark = marks.neighbour(random(2) ? 1 : -1, frame()); if (mark) marks.select(mark.mark_id); },
      () => { if (random(4) === 0) marks.remove(); }, () => { if (marks.undo() === null) undone += 1; }, () => marks.redo(),
      () => { if (marks.done() === null) { dones += 1; if (!marks.all.every(isComplete)) faults.push("done with an open mark"); } },
    ];
    for (let operation = 0; operation < operations; operation += 1) {
      acts[random(acts.length)]();
      for (const { mark_id, start_frame: a, end_frame: b } of marks.all) {
        if (a === 0 && !asked.has(mark_id)) faults.push("starts at 0 unasked");
        if (a !== null && (a < 0 || a >= N)) faults.push(`start ${a}`);
        if (b !== null && (b < 1 || b > N)) faults.push(`end ${b}`);
        if (a !== null && b !== null && a >= b) faults.push(`[${a}, ${b})`);
      }
      const ends = marks.all;
      if (ends.some((mark, place) => place > 0 && marks.all[place - 1] === mark)) faults.push("twice");
    }
    if (sequence < 100) {
      log.push(...events);
      shown.push(...marks.all.map(({ mark_id, start_frame, end_frame, label, revision }) => [mark_id, start_frame, end_frame, label, revision]));
    }
    made += events.filter(({ body }) => body.kind === "mark_made").length;
    // What a server makes of the events is what the page shows.
    const held = new Map(), steps = [];
    let standing = 0;
    for (const { uuid, mark, base_revision, body } of events) {
      if (body.kind === "done") continue;
      const known = held.get(mark);
      if ((known?.revision ?? null) !== base_revision) faults.push(`${body.kind} on revision ${base_revision}`);
      if (body.kind === "undone" || body.kind === "redone") {
        const step = body.kind === "undone" ? steps[standing -= 1] : steps[(standing += 1) - 1];
        if (step?.uuid !== body.event || step.mark !== mark) faults.push(`${body.kind} of another step`);
        held.set(mark, { ...(body.kind === "undone" ? step.before : step.after), revision: known.revision + 1 });
        continue;
      }
      const { kind, from_first_frame, ...values } = body;
      if (body.start_frame === 0 && !from_first_frame) faults.push("frame 0 without its word");
      const { revision = 0, ...before } = known ?? { ...values, removed: true };
      const after = { removed: false, ...(known ? before : {}), ...values, ...(kind === "mark_removed" ? { removed: true } : {}) };
      steps.splice(standing, Infinity, { uuid, mark, before, after });
      standing += 1;
      held.set(mark, { ...after, revision: revision + 1 });
    }
    const flat = (list) => JSON.stringify(list.filter(([, mark]) => !mark.removed)
      .map(([id, mark]) => [id, mark.start_frame, mark.end_frame, mark.label, mark.revision]).sort());
    if (flat([...held]) !== flat(marks.all.map((mark) => [mark.mark_id, mark]))) faults.push("server and page differ");
    if (new Set(events.map(({ uuid }) => uuid)).size !== events.length) faults.push("uuid twice");
  }
  return { faults: faults.slice(0, 20), made, dones, undone, log, shown };
}
