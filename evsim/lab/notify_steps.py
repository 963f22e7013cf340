"""Handlers of user notifications: one post becomes many messages, each at a time that its reader wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.names import split_key
from evsim.patterns.handler import Context

PROVIDER, SENT = "provider", "message sent"
"""Who delivers messages to telephones and mailboxes, and the effect that says it has."""
HOUR_S, DAY_S = 3600.0, 86_400.0
NIGHT_S, MORNING_S = 22 * HOUR_S, 7 * HOUR_S
"""From when to when, in seconds of the day, nobody wants to be woken; only alerts may."""
MARGIN_S = 60.0
"""Shortly before the night nothing is begun: it would arrive in it."""
_LATER, _NEXT, _WISH = "later ", "next due", "wish of "


def quiet(at_s: float) -> bool:
    """Whether this moment lies in the quiet hours."""
    return not MORNING_S <= at_s % DAY_S < NIGHT_S


def morning_s(at_s: float) -> float:
    """The first moment from here on that is not quiet."""
    if not quiet(at_s):
        return at_s
    return at_s // DAY_S * DAY_S + MORNING_S + (DAY_S if at_s % DAY_S >= NIGHT_S else 0.0)


def wish_of(user: str) -> str:
    """What a user wants who has chosen nothing: of ten, one wants nothing, two a mail an hour, seven a push at once."""
    place = split_key(user)[1] % 10
    return "none" if place == 0 else "mail" if place <= 2 else "push"


def followers(event: Event) -> list[str]:
    """Who follows the author of this post."""
    return [f"user-{n}" for n in range(1, event.data["followers"] + 1)]


def fan_out(event: Event, ctx: Context) -> None:
    """One post, a wish for a message for each follower."""
    for user in followers(event):
        ctx.emit("message.wanted", {"post": event.id, "urgent": event.data.get("urgent", False)}, key=user)


def choose(event: Event, ctx: Context) -> None:
    """A user has chosen: push, mail or none."""
    ctx.state[_WISH + str(event.key)] = event.data["wish"]


def plan(event: Event, ctx: Context) -> None:
    """Send an alert and what is pushed at once; collect what goes by mail until the hour is full; let nobody wake."""
    user, post = str(event.key), event.data["post"]
    wish = ctx.state.get(_WISH + user, wish_of(user))
    if wish == "none":
        return
    if event.data["urgent"]:
        ctx.emit("send.alert", {"posts": [post], "channel": "push", "name": f"{user} {post}"})
    elif wish == "push" and not quiet(ctx.now + MARGIN_S):
        ctx.emit("send.news", {"posts": [post], "channel": wish, "name": f"{user} {post}"})
    else:
        due_s = ctx.now if wish == "push" else (ctx.now // HOUR_S + 1) * HOUR_S
        _keep(ctx, user, wish, [post], morning_s(due_s + MARGIN_S))


def put_off(event: Event, ctx: Context) -> None:
    """What came to the door in the night waits for the morning with what is kept already."""
    _keep(ctx, str(event.key), event.data["channel"], event.data["posts"], morning_s(ctx.now + MARGIN_S))


def release(event: Event, ctx: Context) -> None:
    """A minute has passed: send what is due, one message for all that was collected for a user."""
    if ctx.now < ctx.state.get(_NEXT, 0.0):
        return
    kept = [name for name in ctx.state if name.startswith(_LATER)]
    waits = {name: ctx.state[name] for name in kept}
    for name, each in waits.items():
        if each["due_s"] > ctx.now:
            continue
        user = name.removeprefix(_LATER)
        what = {"posts": each["posts"], "channel": each["channel"], "name": f"{user} {' '.join(each['posts'])}"}
        ctx.emit("send.news", what, key=user)
        del ctx.state[name]
    ctx.state[_NEXT] = min((each["due_s"] for each in waits.values() if each["due_s"] > ctx.now), default=1e300)


def _keep(ctx: Context, user: str, channel: str, posts: Any, due_s: float) -> None:
    kept = ctx.state.get(_LATER + user, {"due_s": due_s, "channel": channel, "posts": []})
    new = [post for post in posts if post not in kept["posts"]]
    ctx.state[_LATER + user] = {**kept, "due_s": max(kept["due_s"], due_s), "posts": [*kept["posts"], *new]}
    ctx.state[_NEXT] = min(ctx.state.get(_NEXT, 1e300), due_s)


def _sending(*, keyed: bool, looks: bool) -> Callable[[Event, Any], Any]:
    async def send(event: Event, ctx: Any) -> None:
        if looks and event.type != "send.alert" and quiet(ctx.now + MARGIN_S):
            kept = {"posts": event.data["posts"], "channel": event.data["channel"]}
            ctx.emit("message.deferred", {**kept, "at_s": ctx.now})
            return
        facts = {"user": event.key, "posts": list(event.data["posts"]), "type": event.type}
        await ctx.call(PROVIDER, {"idempotency_key": event.data["name"], **facts} if keyed else facts)

    return send


send = _sending(keyed=True, looks=True)
send_without_key = _sending(keyed=False, looks=True)
send_at_any_hour = _sending(keyed=True, looks=False)

NOTIFY_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "fan_out": fan_out, "choose_channel": choose, "plan_message": plan, "put_off": put_off,
        "release_messages": release, "send_message": send, "send_without_key": send_without_key,
        "send_at_any_hour": send_at_any_hour,
    }
)  # fmt: skip
