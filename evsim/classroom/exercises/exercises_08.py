"""Exercises of notebook 08: pub/sub, routing, webhooks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.patterns.matching import topic_matches, topic_problem
from evsim.patterns.webhooks import TOLERANCE_S, headers_of, new_secret

WISHES: Mapping[str, Callable[[list[str]], bool]] = {
    "billing": lambda words: len(words) == 3 and words[1] == "payment",
    "germany": lambda words: words[0] == "de",
    "alarms": lambda words: words[-1] == "failed",
    "audit": lambda words: True,
}
"""Which queue wants a message, by the words of its routing key."""

_WORDS = ("de", "fr", "order", "payment", "placed", "failed")
KEYS = tuple(".".join(words) for n in range(1, 5) for words in itertools.product(_WORDS, repeat=n))
_NOW = 1_767_225_600.0
_SECRET, _OTHER = new_secret("partner"), new_secret("somebody else")
_PAYLOAD = '{"amount": 12.5}'


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


def _request(age_s: float = 0.0, secret: str = _SECRET) -> dict[str, str]:
    return headers_of((secret,), "msg_1", _NOW - age_s, _PAYLOAD)


def _cases() -> list[tuple[str, dict[str, str], str, bool]]:
    """A name for each request, its headers, its payload, and whether it may be believed."""
    fresh, old, other = _request(), _request(TOLERANCE_S + 1), _request(secret=_OTHER)
    mine, theirs = fresh["webhook-signature"], other["webhook-signature"]
    cases: list[tuple[str, dict[str, str], str, bool]] = [
        ("a request just sent", fresh, _PAYLOAD, True),
        ("a request four minutes old", _request(240), _PAYLOAD, True),
        ("a request with a changed payload", fresh, '{"amount": 9999}', False),
        ("a request signed with another secret", other, _PAYLOAD, False),
        ("an old request, sent again", old, _PAYLOAD, False),
        ("a request from the future", _request(-TOLERANCE_S - 2), _PAYLOAD, False),
    ]
    changed = {
        "a request under another id": ({"webhook-id": "msg_2"}, False),
        "a request with a later timestamp": ({"webhook-timestamp": str(int(_NOW) + 1)}, False),
        "two signatures, of which one is ours": ({"webhook-signature": f"{theirs} {mine}"}, True),
        "a signature of another version": ({"webhook-signature": mine.replace("v1,", "v2,")}, False),
        "no signature at all": ({"webhook-signature": ""}, False),
        "a signature that is none": ({"webhook-signature": "v1,?"}, False),
        "a timestamp that is none": ({"webhook-timestamp": "yesterday"}, False),
    }
    renewed = old | {"webhook-timestamp": fresh["webhook-timestamp"]}
    cases += [(name, fresh | change, _PAYLOAD, genuine) for name, (change, genuine) in changed.items()]
    return [*cases, ("an old request under a new timestamp", renewed, _PAYLOAD, False)]


def _verify(verify: Callable[..., Any]) -> Outcome:
    for name, headers, payload, genuine in _cases():
        answer = verify(dict(headers), payload, _SECRET, _NOW)
        if not isinstance(answer, bool):
            return broken(f"for {name} it gave {answer!r}", ask="is it ours and recent: True or False?")
        if answer != genuine:
            said = "refused, though it is genuine" if genuine else "accepted"
            return broken(f"{name} was {said}", ask="which of the three headers tells the difference?")
    return held(f"for {len(_cases())} requests, genuine and forged")


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
        "my_verify(headers, payload, secret, now)",
        _verify,
    ),
)
