// Tells the server that this page is there, and how much waits in it; nothing of it is stored.

const EVERY_MS = 10_000;
const LEAST_MS = 1000;

/** Report now and then. @param {string} url @param {string} assignment @param {() => number} unsent */
export function reportPresence(url, assignment, unsent) {
  let told = -1;
  let toldAt = -EVERY_MS;
  async function report() {
    const now = performance.now();
    const count = unsent();
    if (now - toldAt < (count === told ? EVERY_MS : LEAST_MS)) return;
    toldAt = now;
    told = count;
    await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      redirect: "error",
      body: JSON.stringify({ unsent: count, assignment }),
    }).catch(() => { told = -1; }); // it says so itself where events cannot be sent
  }
  setInterval(report, LEAST_MS);
  report();
}
