// Questions to the server: JSON there and back, and what is wrong in one line.

/**
 * The answer of a URL; with a body it is sent there.
 * @param {string} url @param {object} [body] @returns {Promise<any>}
 */
export async function ask(url, body) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", redirect: "error", ...sent });
  } catch {
    throw new Error("The server cannot be reached. Try again.");
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  if (answer.status === 401) throw new Error("Log in again, in another tab.");
  throw new Error(content.error ?? `The server answers ${answer.status}.`);
}
