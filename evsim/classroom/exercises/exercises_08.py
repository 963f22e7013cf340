"""Exercises of notebook 08: pub/sub, routing, webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.patterns.matching import topic_matches, topic_problem

WISHES: Mapping[str, Callable[[list[str]], bool]] = {
    "billing": lambda words: len(words) == 3 and words[1] == "payment",
    "germany": lambda words: words[0] == "de",
    "alarms": lambda words: words[-1] == "failed",
    "audit": lambda words: True,
}
"""Which queue wants a message, by the words of its routing key."""

_WORDS = ("de", "fr", "order", "payment", "placed", "failed")
KEYS = tuple(".".join(words) for n in range(1, 5) for words in itertools.product(_WORDS, repeat=n))
TOLERANCE_S = 300
_NOW = 1_767_225_600.0
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example


# ---------------------------------------------------------------- bindings


def _bindings(bindings: Any) -> Outcome:
    if not isinstance(bindings, Mapping):
        return broken(f"my_bindings = {bindings!r}", ask="which pattern, or which patterns, does each queue get?")
    for queue in bindings:
        if queue not in WISHES:
            return broken(f"a queue called {queue!r}, which nobody has", ask="how are the four queues called?")
    for queue, wants in WISHES.items():
        given = bindings.get(queue, ())
        patterns = (given,) if isinstance(given, str) else tuple(given)
        problem = next((problem for problem in map(topic_problem, patterns) if problem), None)
        if problem is not None:
            return broken(problem, ask="what do '*' and '#' each stand for?")
        for key in KEYS:
            comes, wanted = any(topic_matches(pattern, key) for pattern in patterns), wants(key.split("."))
            if comes != wanted:
                said = f"{key} came to {queue}, who did not want it" if comes else f"{key} did not come to {queue}"
                hint = "how many words does this key have, and how many does your pattern take?"
                return broken(said, f"[topic_matches(pattern, {key!r}) for pattern in {patterns!r}]", hint)
    return held(f"for {len(KEYS)} routing keys of one to four words")


# ---------------------------------------------------------------- signatures


def signed(body: bytes, id_: str, timestamp_s: float, secret: str = _SECRET) -> str:
    """The signature of a webhook as Standard Webhooks has it: HMAC-SHA256 over ``id.timestamp.body``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{id_}.{int(timestamp_s)}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _request(body: bytes = b'{"amount": 12.5}', age_s: float = 0, **more: str) -> tuple[dict[str, str], bytes]:
    at = _NOW - age_s
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": signed(body, "msg_1", at)}
    return headers | more, body


def _cases() -> list[tuple[str, dict[str, str], bytes, bool]]:
    headers, body = _request()
    good, other = headers["webhook-signature"], signed(body, "msg_1", _NOW, "whsec_c2VjcmV0IG9mIHNvbWVib2R5IGVsc2U=")
    old, early = _request(age_s=TOLERANCE_S + 1), _request(age_s=-TOLERANCE_S - 1)
    fresh = str(int(_NOW))
    return [
        ("a request just sent", *_request(), True),
        ("a request four minutes old", *_request(age_s=240), True),
        ("a request with a changed body", headers, b'{"amount": 9999}', False),
        ("a request under another id", headers | {"webhook-id": "msg_2"}, body, False),
        ("a request signed with another secret", headers | {"webhook-signature": other}, body, False),
        ("two signatures, of which one is ours", headers | {"webhook-signature": f"{other} {good}"}, body, True),
        ("an old request, sent again", *old, False),
        ("an old request with a new timestamp", old[0] | {"webhook-timestamp": fresh}, old[1], False),
        ("a request from the future", *early, False),
        ("a signature of another version", headers | {"webhook-signature": good.replace("v1,", "v2,")}, body, False),
        ("no signature at all", headers | {"webhook-signature": ""}, body, False),
        ("a signature that is none", headers | {"webhook-signature": "v1,?"}, body, False),
        ("a timestamp that is none", headers | {"webhook-timestamp": "yesterday"}, body, False),
    ]


def _verify(verify: Callable[..., Any]) -> Outcome:
    for name, headers, body, genuine in _cases():
        answer = verify(dict(headers), body, _SECRET, _NOW)
        if not isinstance(answer, bool):
            return broken(f"for {name} it gave {answer!r}", ask="is it ours and recent: True or False?")
        if answer != genuine:
            said = "refused, though it is genuine" if genuine else "accepted"
            return broken(f"{name} was {said}", ask="which of the three headers tells the difference?")
    return held(f"for {len(_cases())} requests, genuine and forged")


def reference(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    """What a receiver does before it believes a request."""
    try:
        at = int(headers["webhook-timestamp"])
        if abs(now - at) > TOLERANCE_S:
            return False
        expected = signed(body, headers["webhook-id"], at, secret)
    except (KeyError, ValueError, binascii.Error):
        return False
    return any(hmac.compare_digest(expected, given) for given in headers.get("webhook-signature", "").split())


EXERCISES = (
    Exercise(
        "08.1",
        "Routing is data",
        "each of the four queues gets what it wants and nothing else",
        "my_bindings",
        _bindings,
    ),
    Exercise(
        "08.2",
        "Is it really from them?",
        "genuine and recent requests are accepted, all others refused",
        "my_verify(headers, body, secret, now)",
        _verify,
    ),
)
