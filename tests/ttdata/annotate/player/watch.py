"""What a browser shows of a proxy, told by the number burnt into the picture."""

import time
from typing import Any

import cv2
import numpy as np
from numbered import read_burnt

PATIENCE_SECONDS = 10.0
HELPERS = """
globalThis.burnt = () => {
  const { film } = globalThis;
  const high = Number(document.getElementById("frame-box").style.getPropertyValue("--high"));
  const canvas = globalThis.burntCanvas ??= document.createElement("canvas");
  canvas.width = 96; canvas.height = 32;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(film, 0, 0, film.videoWidth, high, 0, 0, 96, 32);
  const { data } = context.getImageData(0, 0, 96, 32);
  let number = 0;
  for (let row = 0; row < 2; row += 1) for (let column = 0; column < 6; column += 1) {
    const at = 4 * ((8 + 16 * row) * 96 + 8 + 16 * column);
    number = 2 * number + Number(data[at] + data[at + 1] + data[at + 2] > 3 * 132);
  }
  return number;
};
globalThis.painted = () => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
});
globalThis.sleep = (ms) => new Promise((done) => setTimeout(done, ms));
"""
SEEKS = """async (frames) => {
  const { player } = annotate;
  const rows = [];
  for (const frame of frames) {
    const start = performance.now();
    player.seek(frame);
    const found = await player.settled();
    const took = performance.now() - start;
    rows.push([found, burnt(), took, player.state]);
  }
  return rows;
}"""
STEPS = """async ([first, steps]) => {
  const { player } = annotate;
  player.seek(first);
  await player.settled();
  const rows = [];
  for (const step of steps) {
    player.step(step);
    rows.push([await player.settled(), burnt()]);
  }
  return rows;
}"""
PLAY_AND_PAUSE = """async ([first, ms]) => {
  const { player } = annotate;
  player.seek(first);
  await player.settled();
  player.play();
  await sleep(ms);
  player.pause();
  const found = await player.settled();
  await painted();
  return [found, burnt(), player.state];
}"""
READY = """async () => {
  while (!globalThis.annotate) await new Promise((done) => setTimeout(done, 20));
  for (let time = 0; time < 1000 && annotate.player.state !== "still"; time += 1) await sleep(20);
  return annotate.player.state;
}"""


def open_page(browser: Any, url: str, width: int = 1024, height: int = 800) -> Any:
    """A page that shows its first frame; `page.problems` and `page.hosts` are filled by it."""
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.problems, page.hosts = [], set()
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    page.add_init_script(HELPERS)
    page.goto(url)
    assert page.evaluate(READY) == "still"
    return page


def shown_number(page: Any, wanted: int) -> int:
    """The number on the screen, not in the film's memory; the screen may be a little late."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := _on_screen(page)) != wanted and time.monotonic() < until:
        pass
    return found


def _on_screen(page: Any) -> int:
    encoded = np.frombuffer(page.locator("#frame-box").screenshot(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None
    return read_burnt(picture)


def make_steps(count: int, num_frames: int, rng: np.random.Generator) -> tuple[int, list[int]]:
    """A first frame and steps of 1 and 10, either way, that stay within the video."""
    first = place = int(rng.integers(20, num_frames - 20))
    steps: list[int] = []
    while len(steps) < count:
        step = int(rng.choice([1, -1, 1, -1, 10, -10]))
        if 0 <= place + step < num_frames:
            steps.append(step)
            place += step
    return first, steps
