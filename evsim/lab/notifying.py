"""User notifications: a post is told to all who follow its author, once, in time, and never at night."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from evsim.errors import BadScenario
from evsim.event import Event
from evsim.history import History, Record
from evsim.lab.notify_steps import (
    HOUR_S,
    PROVIDER,
    SENT,
    choose,
    fan_out,
    followers,
    plan,
    put_off,
    quiet,
    release,
    send,
    send_without_key,
    wish_of,
)  # fmt: skip
from evsim.lab.scenario import Scenario
from evsim.laws import Choice, Constant
from evsim.patterns.breaker import RateLimit
from evsim.patterns.inbox import Inbox
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.calling import Calling
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service
from evsim.view.verdict import Verdict

RATE = 100.0
"""Messages a second that the provider can take."""
_PATIENCE = Retry(1000, Backoff(0.2, cap_s=5.0))
"""A provider that says no is asked again: a message is not given up."""


def _sender(name: str, of: str, rate: float, **settings: Any) -> Consumer:
    on = dict.fromkeys(("send.alert", "send.news"), settings.pop("how", send))
    return Consumer(
        name, of=of, on=on, to="wanted", members=20, retry=_PATIENCE, calling=Calling(timeout_s=5.0),
        rate_limit=RateLimit(rate, burst=5), **settings,
    )  # fmt: skip


NOTIFICATIONS = Scenario(
    Publisher(
        "authors", to="posts", type="post.published", rate=1 / 900, key="own",
        data={"followers": 60, "urgent": Choice((False, True), weights=(9, 1))},
    ),
    Log("posts"),
    Consumer("fanout", of="posts", on={"post.published": fan_out}, to="wanted", inbox=True, outbox=True),
    Publisher("clock", to="wanted", type="minute.passed", gap_s=Constant(60.0), key="clock", sequence="minute"),
    Log("wanted"),
    Consumer(
        "planner", of="wanted", to="dispatch", inbox=Inbox(key="content"), outbox=True,
        on={"message.wanted": plan, "message.deferred": put_off, "minute.passed": release, "preference.chosen": choose},
    ),
    Exchange("dispatch", bindings={"express": "send.alert", "bulk": "send.news"}),
    Queue("express"),
    Queue("bulk"),
    _sender("courier", "express", 0.2 * RATE),
    _sender("postman", "bulk", 0.75 * RATE),
    Service(PROVIDER, service_s=Constant(10 / RATE), workers=10, room=20, effect=SENT, idempotency_s=24 * HOUR_S),
    name="notifications",
)  # fmt: skip
"""A day of posts with sixty followers each; alerts have a lane of their own."""

NOTIFICATIONS_KEYLESS = NOTIFICATIONS.replace(
    "postman", on=dict.fromkeys(("send.alert", "send.news"), send_without_key)
).called("notifications-keyless")


def one_post(scenario: Scenario, followers: int, at_s: float = 10 * HOUR_S, *, urgent: bool = False) -> Scenario:
    """The same with one post only, at ten in the morning unless said otherwise, told to so many followers."""
    post = {"followers": followers, "urgent": urgent}
    once = Publisher(
        "authors", to="posts", type="post.published", gap_s=Constant(1.0), starts_at_s=at_s, count=1, data=post
    )
    return scenario.without("authors").plus(once)


def capacity(scenario: Scenario, rate: float) -> Scenario:
    """The same with a provider that takes this many messages a second, of which the postman may use three quarters."""
    if not rate > 0:
        raise BadScenario(f"a capacity of {rate!r} is refused; expected messages a second, more than 0")
    postman = {"rate_limit": RateLimit(0.75 * rate, burst=5), "members": max(20, math.ceil(0.2 * rate))}
    return scenario.replace(PROVIDER, service_s=Constant(10 / rate)).replace("postman", **postman)


class Told(NamedTuple):
    """A user was told of a post: after how long, and at what time."""

    post: str
    user: str
    after_s: float
    at_s: float
    urgent: bool


def told(history: History) -> list[Told]:
    """Who was told of which post, as often as it happened, in the order of time."""
    return list(_told(history))


def _told(history: History) -> Iterator[Told]:
    since_s: dict[str, float] = {}
    for record in _sent(history):
        note = history.notes[record.number]
        for post in note.get("posts", ()):
            if post not in since_s:
                since_s[post] = history.event_at(history.index(post)).timestamp
            user, urgent = str(note.get("user", "somebody")), note.get("type") == "send.alert"
            yield Told(post, user, record.time - since_s[post], record.time, urgent)


def waits(history: History) -> list[float]:
    """How long each user waited for each post, in seconds: the first time counts."""
    first: dict[tuple[str, str], float] = {}
    for each in _told(history):
        first.setdefault((each.post, each.user), each.after_s)
    return list(first.values())


def messages(history: History) -> int:
    """How many messages the provider has sent: what is on its bill."""
    return len(_sent(history))


def _sent(history: History) -> list[Record]:
    known = {what.place for what in history.whats}
    return list(history.of("effect", place=SENT)) if SENT in known else []


def told_once(history: History) -> Verdict:
    """Nobody is told of the same post twice."""
    name = "nobody is told of a post twice"
    times = Counter((each.post, each.user) for each in _told(history))
    if not times:
        return Verdict("unknown", name, ("nobody was told anything",))
    many = [pair for pair, count in times.items() if count > 1]
    if not many:
        return Verdict("ok", name)
    when = tuple(each.at_s for each in _told(history) if (each.post, each.user) == many[0])
    said = " and ".join(f"{time:.1f} s" for time in when)
    text = f"{many[0][1]} was told of {many[0][0]} at {said}; such pairs: {len(many)}"
    return Verdict("VIOLATED", name, (text,), None, (many[0][0],), when)


def quiet_nights(history: History) -> Verdict:
    """Nothing but alerts is sent in the quiet hours."""
    name = "nobody is woken for news"
    news = [each for each in _told(history) if not each.urgent]
    if not news:
        return Verdict("unknown", name, ("no news were sent",))
    woken = [each for each in news if quiet(each.at_s)]
    if not woken:
        return Verdict("ok", name)
    first = woken[0]
    clock = f"{first.at_s % 86400 // 3600:02.0f}:{first.at_s % 3600 // 60:02.0f}"
    text = f"{first.user} was told of {first.post} at {clock}; messages in the night: {len(woken)}"
    return Verdict("VIOLATED", name, (text,), None, (first.post,), (first.at_s,))


def nobody_forgotten(within_s: float) -> Callable[[History], Verdict]:
    """Who wants to be told of a post is told within this time; posts that are younger at the end are not judged."""

    def nobody_forgotten(history: History) -> Verdict:
        name = f"everybody who wants it is told within {within_s:g} s"
        end_s = float(history.time[-1])
        old = [event for event in _typed(history, "post.published") if event.timestamp + within_s <= end_s]
        if not old:
            return Verdict("unknown", name, ("no post is old enough",))
        known = {(each.post, each.user) for each in _told(history) if each.after_s <= within_s}
        wishes = {str(event.key): event.data["wish"] for event in _typed(history, "preference.chosen")}
        for event in old:
            for user in followers(event):
                if wishes.get(user, wish_of(user)) != "none" and (event.id, user) not in known:
                    return Verdict("VIOLATED", name, (f"{user} was not told of {event.id}",), None, (event.id,))
        return Verdict("ok", name)

    return nobody_forgotten


def _typed(history: History, kind: str) -> list[Event]:
    return [history.event_at(index) for index in range(history.event_count) if history.type_of(index) == kind]
