"""The outbox: every event arrives once and in order, whatever becomes of server and page."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from served import Served

pytestmark = pytest.mark.slow

OPEN = """async () => {
  const { Later, Outbox, Refused } = await import("/static/outbox.js");
  globalThis.refused = [];
  const send = async (item) => {
    const answer = await fetch("/events", { method: "POST", body: JSON.stringify(item) });
    if (answer.status === 422) throw new Refused("never");
    if (answer.status === 429) throw new Later("not yet", 400);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  };
  globalThis.outbox = await new Outbox({ name: "test", send, firstWait: 5,
    refused: (item) => refused.push(item.uuid) }).open();
  return outbox.state;
}"""
PUT = """async (numbers) => {
  for (const number of numbers) {
    await outbox.put({ uuid: `u${number}`, body: { kind: "label_set" } });
  }
}"""
AWAY = 503


def arrived(served: Served) -> list[str]:
    return [event["uuid"] for event in served.events]


def wait_for(page: Any, served: Served, count: int) -> None:
    until = time.monotonic() + 30
    while (len(served.events) < count or page.evaluate("outbox.state.pending")) and (
        time.monotonic() < until
    ):
        page.evaluate("new Promise((done) => setTimeout(done, 20))")


@pytest.fixture
def page(browser: Any, served: Served) -> Any:
    context = browser.new_context()  # a database of its own
    opened = context.new_page()
    opened.goto(f"{served.url}blank.html")
    yield opened
    context.close()


def test_what_fails_is_sent_again_once_and_in_order(page: Any, served: Served) -> None:
    assert page.evaluate(OPEN) == {"pending": 0, "problem": None, "stored": True}
    served.answers = [503, 500, 599, 200, 599, 503, 404]  # 599: stored, the answer lost
    page.evaluate(PUT, list(range(20)))
    wait_for(page, served, 20)
    assert arrived(served) == [f"u{number}" for number in range(20)]
    assert page.evaluate("outbox.state") == {"pending": 0, "problem": None, "stored": True}


def test_what_waits_survives_the_page(page: Any, served: Served) -> None:
    page.evaluate(OPEN)
    served.answers = [AWAY] * 1000
    page.evaluate(PUT, list(range(20)))
    assert page.evaluate("outbox.state.pending") == 20
    page.reload()
    state = page.evaluate(OPEN)
    assert (state["pending"], state["stored"]) == (20, True)
    assert page.evaluate("outbox.waiting.map(({ uuid }) => uuid)") == [f"u{n}" for n in range(20)]
    page.evaluate(PUT, [20, 21])
    assert served.events == []
    served.answers = [599]
    wait_for(page, served, 22)
    assert arrived(served) == [f"u{number}" for number in range(22)]
    page.reload()
    assert page.evaluate(OPEN)["pending"] == 0


def test_what_is_refused_makes_room(page: Any, served: Served) -> None:
    page.evaluate(OPEN)
    served.answers = [200, 422, 503]
    page.evaluate(PUT, [0, 1, 2])
    wait_for(page, served, 2)
    assert arrived(served) == ["u0", "u2"]
    assert page.evaluate("refused") == ["u1"]


def test_without_a_database_events_are_sent_all_the_same(page: Any, served: Served) -> None:
    page.evaluate("Object.defineProperty(globalThis, 'indexedDB', { value: undefined })")
    state = page.evaluate(OPEN)
    assert (state["stored"], state["pending"]) == (False, 0)
    served.answers = [AWAY]
    page.evaluate(PUT, [0, 1])
    wait_for(page, served, 2)
    assert arrived(served) == ["u0", "u1"]


def test_two_tabs_do_not_overwrite_what_the_other_one_keeps(page: Any, served: Served) -> None:
    served.answers = [AWAY] * 1000
    other = page.context.new_page()
    other.goto(f"{served.url}blank.html")
    for tab in (page, other):
        tab.evaluate(OPEN)
    page.evaluate(PUT, [1, 2])
    other.evaluate(PUT, [3, 4])
    other.close()
    page.reload()
    page.evaluate(OPEN)
    served.answers = []
    wait_for(page, served, 4)
    assert sorted(arrived(served)) == ["u1", "u2", "u3", "u4"]


def test_sending_goes_on_where_the_browser_loses_its_database(page: Any, served: Served) -> None:
    page.evaluate(OPEN)
    page.evaluate(
        """(numbers) => {
          IDBDatabase.prototype.transaction = () => { throw new Error("gone"); };
          return Promise.allSettled(numbers.map((number) => outbox.put({ uuid: `u${number}` })));
        }""",
        [1, 2, 3],
    )
    wait_for(page, served, 3)
    assert arrived(served) == ["u1", "u2", "u3"]


def test_a_pause_that_the_server_wants_is_made(page: Any, served: Served) -> None:
    page.evaluate(OPEN)
    served.answers = [429]
    took = page.evaluate(
        """async () => {
          const start = performance.now();
          await outbox.put({ uuid: "u0" });
          while (outbox.state.pending > 0) await new Promise((go) => setTimeout(go, 5));
          return performance.now() - start;
        }"""
    )
    assert arrived(served) == ["u0"]
    assert took >= 400  # 5 ms where it is not asked for


LAST = """async (sizes) => {
  for (const [number, size] of sizes.entries()) {
    await outbox.put({ uuid: `u${number}`, text: "x".repeat(size) });
  }
  for (const kind of ["mark_made", "label_set", "seen", "done"]) {
    outbox.put({ uuid: kind, body: { kind } });
  }
  return outbox.last().map(({ uuid }) => uuid);
}"""


def test_a_page_that_goes_hands_over_all_that_fits(page: Any, served: Served) -> None:
    served.answers = [AWAY] * 1000
    page.evaluate(OPEN)
    new = ["mark_made", "label_set", "seen", "done"]
    assert page.evaluate(LAST, [100, 100]) == ["u0", "u1", *new]


def test_or_what_the_browser_does_not_keep_yet(page: Any, served: Served) -> None:
    """But nothing that would overtake what it builds on."""
    served.answers = [AWAY] * 1000
    page.evaluate(OPEN)
    assert page.evaluate(LAST, [50_000, 20_000]) == ["mark_made", "seen"]


def test_or_the_first_of_all_where_the_browser_keeps_nothing(page: Any, served: Served) -> None:
    served.answers = [AWAY] * 1000
    page.evaluate("Object.defineProperty(globalThis, 'indexedDB', { value: undefined })")
    page.evaluate(OPEN)
    assert page.evaluate(LAST, [50_000, 20_000]) == ["u0"]


def test_or_nothing_where_the_browser_keeps_all(page: Any, served: Served) -> None:
    served.answers = [AWAY] * 1000
    page.evaluate(OPEN)
    page.evaluate(PUT, [0, 1])
    assert page.evaluate("outbox.last()") == []
