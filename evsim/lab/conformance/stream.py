"""Stream endpoints: what the HTML standard promises of server-sent events."""

from __future__ import annotations

from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.lab.conformance.pubsub import late
from evsim.laws import Constant
from evsim.sim.broker.stream import Stream
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher

HTML = "HTML standard, Server-sent events — https://html.spec.whatwg.org/multipage/server-sent-events.html"
RESUME = f"{HTML}#the-last-event-id-header"
RECONNECT = f"{HTML}#concept-event-stream-reconnection-time"

CASES = Table("stream")


def ticker(count: int = 20, **settings: Any) -> Publisher:
    """So many prices, ten a second."""
    usual: dict[str, Any] = {"gap_s": Constant(0.1), "count": count}
    return Publisher("bourse", to="feed", type="price.changed", **(usual | settings))


def browser(name: str = "browser", **settings: Any) -> Consumer:
    """A page that is open."""
    return Consumer(name, of="feed", **settings)


@CASES.case("stream-01", "two clients, no faults", "both see every event, once, in order", HTML)
def every_client_sees_everything() -> Seen:
    """Each has a connection of its own."""
    history = scene(ticker(), Stream("feed"), browser(), browser("phone"))
    seen = {name: messages(history, "handled", name) for name in ("browser", "phone")}
    right = all(numbers == [*range(20)] for numbers in seen.values())
    return Seen(", ".join(f"{name} {len(numbers)}" for name, numbers in seen.items()), right)


@CASES.case(
    "stream-02",
    "client down for 0.6 s; the server remembers all",
    "it resumes behind the last event that it has seen: nothing is missing, nothing comes twice",
    RESUME,
    fault="crash",
)
def a_client_resumes() -> Seen:
    """Last-Event-ID."""
    history = scene(ticker(), Stream("feed", retry_s=1), browser(), Crash("browser", at_s=0.55, down_s=0.6))
    seen = messages(history, "handled")
    return Seen(f"handled {listed(seen)}", seen == [*range(20)])


@CASES.case(
    "stream-03",
    "the server is down for 0.5 s and closes all connections; retry 3 s",
    "the client connects again after the retry time, not before",
    RECONNECT,
    fault="crash",
)
def the_client_waits_before_it_comes_again() -> Seen:
    """The event stream's reconnection time."""
    history = scene(ticker(80), Stream("feed", retry_s=3), browser(), Crash("feed", at_s=1.05, down_s=0.5))
    seen = [at for at in times(history, "handled") if at > 1.05]
    first = round(min(seen, default=0.0) - 1.05, 2)
    return Seen(f"the next event is seen {first:g} s after the crash", 3.0 <= first <= 3.2)


@CASES.case(
    "stream-04",
    "the server remembers 3 events; a client is away while 10 are published",
    "it has the last 3 of them; the others are missed, and counted",
    RESUME,
    fault="crash",
)
def what_is_forgotten_is_missed() -> Seen:
    """The server can resume only from what it has kept."""
    feed = Stream("feed", retry_s=0.01, history_events=3)
    history = scene(ticker(20), feed, browser(), Crash("browser", at_s=0.55, down_s=0.99))
    seen, missed = messages(history, "handled"), messages(history, "missed")
    right = sorted(seen + missed) == [*range(20)] and 6 <= len(missed) <= 7
    return Seen(f"missed {listed(missed)}, handled {len(seen)}", right)


@CASES.case(
    "stream-05", "client paused for 1 s", "what was sent meanwhile is seen afterwards, in order", HTML, fault="pause"
)
def a_pause_drops_nothing() -> Seen:
    """It waits in the connection."""
    seen = messages(scene(ticker(), Stream("feed"), browser(), Pause("browser", at_s=0.55, for_s=1)), "handled")
    return Seen(f"handled {listed(seen)}", seen == [*range(20)])


@CASES.case(
    "stream-06",
    "a client ten times too slow, 5 events fit into the connection, when full: drop",
    "some are missed and counted; those that are seen are in order; a fast client sees all",
    f"{HTML} (what a server keeps for a slow reader is left to it)",
)
def a_slow_client_is_left_out() -> Seen:
    """The fast one does not wait for it."""
    feed = Stream("feed", buffer_events=5, when_full="drop")
    slow = browser("slow", service_s=Constant(1.0))
    history = scene(ticker(50), feed, browser(), slow, until_s=60)
    seen, missed = messages(history, "handled", "slow"), messages(history, "missed", "slow")
    fast = messages(history, "handled", "browser")
    right = bool(missed) and sorted(seen + missed) == [*range(50)] and seen == sorted(seen) and len(fast) == 50
    return Seen(f"slow sees {len(seen)}, misses {len(missed)}; the other sees {len(fast)}", right)


@CASES.case(
    "stream-07",
    "a client that opens the page after ten events, without a Last-Event-ID",
    "it sees what comes from then on",
    HTML,
)
def a_new_client_sees_what_is_new() -> Seen:
    """Nothing was said about what came before."""
    seen = messages(scene(ticker(), Stream("feed"), late(browser(), 1.05)), "handled")
    return Seen(f"handled {listed(seen)}", seen == [*range(10, 20)])


@CASES.case(
    "stream-08",
    "long poll, a client that needs 0.05 s for each",
    "every event, in order, each once",
    "RFC 6202, HTTP long polling — https://www.rfc-editor.org/rfc/rfc6202",
)
def long_poll_sees_everything() -> Seen:
    """Ask, wait, get, ask again."""
    history = scene(ticker(), Stream("feed", long_poll=True), browser(service_s=Constant(0.05)))
    seen = messages(history, "handled")
    return Seen(f"handled {listed(seen)}; {len(rows(history, 'stored'))} stored", seen == [*range(20)])
