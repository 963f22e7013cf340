"""Webhooks: what Standard Webhooks promises of signatures, attempts and endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.laws import Constant
from evsim.patterns.webhooks import Gone, new_secret
from evsim.sim.broker.webhook import Replay, Webhook
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher

STANDARD = (
    "Standard Webhooks — https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"
)
RETRIES = f"{STANDARD}#deliverability-and-reliability"
SIGNATURE = f"{STANDARD}#verifying-webhook-authenticity"

CASES = Table("webhook")
Handlers = dict[str, Callable[..., Any]]


def shop(count: int = 1, **settings: Any) -> Publisher:
    """So many orders, ten a second."""
    usual: dict[str, Any] = {"gap_s": Constant(0.1), "count": count}
    return Publisher("shop", to="hook", **(usual | settings))


def endpoint(**settings: Any) -> Consumer:
    """The server of somebody else, which answers 2xx when its handler is done."""
    return Consumer("endpoint", of="hook", **settings)


def fails(which: int, attempts: int, problem: type[Exception] = RuntimeError) -> Handlers:
    """A handler that answers 500 to the first attempts at message ``which``."""

    def handle(event: Any, ctx: Any) -> None:
        if event.id == f"shop.{which + 1}" and ctx.attempt <= attempts:
            raise problem

    return {"order.placed": handle}


def after_the_first(moments: list[float]) -> list[float]:
    """Seconds since the first."""
    return [round(moment - moments[0], 2) for moment in moments]


@CASES.case(
    "webhook-01",
    "the endpoint answers 500 twice, then 200; schedule 0, 5, 300 s",
    "three attempts on the schedule, one of them accepted, the same id each time",
    RETRIES,
)
def attempts_follow_the_schedule() -> Seen:
    """The id does not change between attempts."""
    history = scene(shop(), Webhook("hook"), endpoint(on=fails(0, 2)), until_s=1000)
    tries = after_the_first(times(history, "pushed"))
    ids = {record.event_id for record in rows(history, "pushed")}
    accepted = len(rows(history, "acked"))
    right = tries == [0.0, 5.0, 305.0] and accepted == 1 and len(ids) == 1
    return Seen(f"attempts at {listed(tries)} s, {accepted} accepted, {len(ids)} id", right)


@CASES.case(
    "webhook-02",
    "a captured request is sent again 600 s later, tolerance 300 s",
    "refused: it is too old",
    SIGNATURE,
    fault="replay",
)
def an_old_request_is_refused() -> Seen:
    """The timestamp is part of what is signed."""
    return _replayed(Replay("hook", at_s=600))


@CASES.case(
    "webhook-03",
    "a captured request is sent again with another payload",
    "refused: the signature does not fit",
    SIGNATURE,
    fault="replay",
)
def a_forged_request_is_refused() -> Seen:
    """Payload, id and timestamp are signed together."""
    return _replayed(Replay("hook", at_s=10, forged=True))


def _replayed(attack: Replay) -> Seen:
    history = scene(shop(), Webhook("hook"), endpoint(), attack, until_s=1000)
    refused, handled = len(rows(history, "refused")), len(rows(history, "handled"))
    return Seen(f"{refused} refused, {handled} handled", (refused, handled) == (1, 1))


@CASES.case("webhook-04", "the endpoint knows another secret", "every request is refused", SIGNATURE)
def a_wrong_secret_is_refused() -> Seen:
    """HMAC-SHA256 with a key that both know."""
    hook = Webhook("hook", endpoint_secret=new_secret("another"), schedule_s=(0, 1))
    history = scene(shop(3), hook, endpoint())
    refused, handled = len(rows(history, "refused")), len(rows(history, "handled"))
    return Seen(f"{refused} refused, {handled} handled", refused == 6 and handled == 0)


@CASES.case(
    "webhook-05",
    "while keys are rotated: signed with the old and the new secret, the endpoint knows the new",
    "accepted",
    f"{STANDARD}#signature-scheme",
)
def two_signatures_while_keys_rotate() -> Seen:
    """Zero downtime rotation: one signature that fits is enough."""
    hook = Webhook("hook", more_secrets=(new_secret("new"),), endpoint_secret=new_secret("new"))
    history = scene(shop(3), hook, endpoint())
    refused, accepted = len(rows(history, "refused")), len(rows(history, "acked"))
    return Seen(f"{refused} refused, {accepted} accepted", (refused, accepted) == (0, 3))


@CASES.case(
    "webhook-06", "the endpoint never answers 2xx", "eight attempts in about 28 hours, then it is given up", RETRIES
)
def the_schedule_ends() -> Seen:
    """Immediately, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h."""
    history = scene(shop(), Webhook("hook"), endpoint(on=fails(0, 99)), until_s=200_000)
    tries = after_the_first(times(history, "pushed"))
    must = [0, 5, 305, 2105, 9305, 27305, 63305, 99305]
    return Seen(f"attempts at {listed(tries)} s", tries == must and len(rows(history, "exhausted")) == 1)


@CASES.case(
    "webhook-07",
    "the endpoint needs 20 s, the sender waits 15 s",
    "sent again although it was handled: at least once",
    RETRIES,
)
def a_slow_answer_is_a_failure() -> Seen:
    """The sender cannot know; hence the idempotency key."""
    group = endpoint(members=2, service_s=Constant(20.0))
    history = scene(shop(), Webhook("hook"), group, until_s=60)
    handled = Counter(messages(history, "handled"))[0]
    return Seen(f"handled {handled} times", handled >= 2)


@CASES.case(
    "webhook-08", "the first of three events fails once; schedule 0, 5 s", "the others overtake it: no order", RETRIES
)
def retries_break_order() -> Seen:
    """Each event is on its own."""
    history = scene(shop(3), Webhook("hook"), endpoint(on=fails(0, 1)), until_s=60)
    order = messages(history, "acked")
    return Seen(f"accepted {listed(order)}", order == [1, 2, 0])


@CASES.case("webhook-09", "the endpoint answers 410 Gone", "it is disabled: nothing more is sent", RETRIES)
def gone_disables() -> Seen:
    """The receiver wants no more."""
    history = scene(shop(5), Webhook("hook"), endpoint(on=fails(1, 1, Gone)), until_s=3600)
    tries, disabled = messages(history, "pushed"), len(rows(history, "disabled"))
    return Seen(f"sent {listed(tries)}, {disabled} disabled", tries == [0, 1] and disabled == 1)


@CASES.case(
    "webhook-10",
    "the endpoint is down for 2 s, schedule 0, 5, 300 s",
    "all five are delivered in the end",
    RETRIES,
    fault="crash",
)
def a_crash_of_the_endpoint_loses_nothing() -> Seen:
    """What was not answered 2xx is sent again."""
    history = scene(shop(5), Webhook("hook"), endpoint(), Crash("endpoint", at_s=0.25, down_s=2), until_s=1000)
    lost = set(range(5)) - set(messages(history, "acked"))
    return Seen(f"{len(lost)} lost", not lost)


@CASES.case(
    "webhook-11",
    "the sender itself crashes with five events not yet accepted",
    "all five are delivered in the end",
    RETRIES,
    fault="crash",
)
def a_crash_of_the_sender_loses_nothing() -> Seen:
    """They are on its disk."""
    group = endpoint(on=_fails_before(1.0))
    history = scene(shop(5), Webhook("hook"), group, Crash("hook", at_s=0.75, down_s=2), until_s=3000)
    lost = set(range(5)) - set(messages(history, "acked"))
    return Seen(f"{len(lost)} lost", not lost)


def _fails_before(moment: float) -> Handlers:
    def handle(event: Any, ctx: Any) -> None:
        if ctx.now < moment:
            raise RuntimeError

    return {"order.placed": handle}


@CASES.case(
    "webhook-12",
    "the endpoint answers 500 again and again, disabled after 4 failures in a row",
    "after 4 attempts nothing more is sent",
    RETRIES,
)
def failures_disable() -> Seen:
    """An endpoint that always fails is disabled."""
    history = scene(shop(), Webhook("hook", disable_after=4), endpoint(on=fails(0, 99)), until_s=200_000)
    tries, disabled = len(rows(history, "pushed")), len(rows(history, "disabled"))
    return Seen(f"{tries} attempts, {disabled} disabled", (tries, disabled) == (4, 1))


@CASES.case(
    "webhook-13",
    "the endpoint is paused for 3 s, the sender waits 15 s",
    "each is handled once, none is dropped",
    RETRIES,
    fault="pause",
)
def a_pause_drops_nothing() -> Seen:
    """Shorter than the sender's patience."""
    history = scene(shop(5), Webhook("hook"), endpoint(), Pause("endpoint", at_s=0.25, for_s=3), until_s=1000)
    often = Counter(messages(history, "handled"))
    return Seen(f"{len(often)} handled, {sum(often.values())} times", [*often.values()] == [1] * 5)
