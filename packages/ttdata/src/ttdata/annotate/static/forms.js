// Forms that are sent as JSON: <form data-post="URL">. The answer's `next` is opened; what is refused is said.

/** @param {HTMLFormElement} form @param {string} text */
function say(form, text) {
  const place = /** @type {HTMLElement | null} */ (form.querySelector("[role=alert]"));
  if (place === null) return;
  place.textContent = text;
  place.hidden = text === "";
}

/** Send a form. @param {HTMLFormElement} form */
async function send(form) {
  try {
    const answer = await fetch(form.dataset.post ?? "", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      redirect: "error",
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    const content = await answer.json().catch(() => ({}));
    if (answer.ok) location.assign(content.next ?? location.href);
    else if (answer.status === 401 && form.dataset.post === "/logout") location.assign("/login");
    else say(form, content.error ?? `The server answers ${answer.status}.`);
  } catch {
    say(form, "The server cannot be reached. Try again.");
  }
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-post]"))) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const buttons = /** @type {HTMLButtonElement[]} */ ([...form.querySelectorAll("button")]);
    for (const button of buttons) button.disabled = true;
    say(form, "");
    send(form).finally(() => { for (const button of buttons) button.disabled = false; });
  });
}
