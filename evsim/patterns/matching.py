"""Whether a message fits a pattern: topics of AMQP, subjects of NATS, headers of AMQP.

A pattern is compiled once and remembered. A compiled pattern reads each word of a key once, whatever the pattern, so
that no pattern can make it slow. A match never raises; what is wrong with a pattern is told by ``topic_problem``,
``subject_problem`` and ``headers_problem``, before a run. Semantics: https://www.rabbitmq.com/docs/exchanges (topic,
headers) and https://docs.nats.io/nats-concepts/subjects (subjects).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from evsim.errors import did_you_mean, shown

Matcher = Callable[[str], bool]

KEY_BYTES_MAX = 255
"""A routing key is a short string of AMQP 0-9-1: so many bytes at most."""

REMEMBERED = 4096
"""So many compiled patterns, and sixteen times as many answers, are remembered."""

HEADER_KINDS = ("all", "any", "all-with-x", "any-with-x")


# ---------------------------------------------------------------- topics


@lru_cache(16 * REMEMBERED)
def topic_matches(pattern: str, key: str) -> bool:
    """Whether a routing key fits a topic pattern: ``*`` is exactly one word, ``#`` zero or more, anywhere.

    >>> topic_matches("stock.*.nyse", "stock.usd.nyse"), topic_matches("stock.#", "stock")
    (True, True)
    """
    return topic_matcher(pattern)(key)


@lru_cache(REMEMBERED)
def topic_matcher(pattern: str) -> Matcher:
    """A topic pattern, compiled."""
    words = _words(pattern)
    if "#" not in words and "*" not in words:
        return pattern.__eq__
    if words == ["#"]:
        return lambda _key: True
    if words.count("#") == 1 and words[-1] == "#" and "*" not in words and words[0]:
        return _begins_with(".".join(words[:-1]))
    return _automaton(words)


def _words(text: str) -> list[str]:
    """Words between dots; an empty text has none, as at RabbitMQ."""
    return text.split(".") if text else []


def _begins_with(stem: str) -> Matcher:
    dotted = f"{stem}."
    return lambda key: key == stem or key.startswith(dotted)


def _automaton(words: list[str]) -> Matcher:
    """All places in the pattern that a key can have come to, as the bits of one number: one step for each word.

    Bit ``n`` means that the first ``n`` words of the pattern are used up. A ``#`` lets a place stay, and be passed.
    """
    words = [word for n, word in enumerate(words) if word != "#" or words[n - 1 : n] != ["#"]]
    stays = sum(1 << n for n, word in enumerate(words) if word == "#")
    any_word = sum(1 << n for n, word in enumerate(words) if word == "*")
    steps: dict[str, int] = {}
    for n, word in enumerate(words):
        if word not in {"#", "*"}:
            steps[word] = steps.get(word, any_word) | 1 << n
    start, end = 1 | (1 & stays) << 1, 1 << len(words)

    def matches(key: str) -> bool:
        places = start
        for word in _words(key):
            places = (places & steps.get(word, any_word)) << 1 | (places & stays)
            places |= (places & stays) << 1
            if not places:
                return False
        return bool(places & end)

    return matches


def topic_problem(pattern: str) -> str | None:
    """What is wrong with a topic pattern, in a sentence; None when nothing is."""
    if len(pattern.encode("utf-8", "replace")) > KEY_BYTES_MAX:
        return f"the topic pattern {shown(pattern)} is longer than {KEY_BYTES_MAX} bytes, more than AMQP allows"
    for word in _words(pattern):
        if len(word) > 1 and ("*" in word or "#" in word):
            return f"in the topic pattern {shown(pattern)}, '*' and '#' stand for whole words, but {shown(word)} is one"
    return None


# ---------------------------------------------------------------- subjects


@lru_cache(16 * REMEMBERED)
def subject_matches(pattern: str, subject: str) -> bool:
    """Whether a subject fits a pattern: ``*`` is exactly one token, ``>`` at the end is one or more.

    >>> subject_matches("orders.>", "orders.placed"), subject_matches("orders.>", "orders")
    (True, False)
    """
    return subject_matcher(pattern)(subject)


@lru_cache(REMEMBERED)
def subject_matcher(pattern: str) -> Matcher:
    """A subject pattern, compiled; one that is no pattern fits nothing, and nothing fits a subject that is none."""
    if subject_problem(pattern) is not None:
        return lambda _subject: False
    tokens = pattern.split(".")
    rest = tokens[-1] == ">"
    fixed = [(n, token) for n, token in enumerate(tokens) if token not in {"*", ">"}]
    if len(fixed) == len(tokens):
        return pattern.__eq__

    def matches(subject: str) -> bool:
        given = subject.split(".")
        if len(given) < len(tokens) or (len(given) > len(tokens) and not rest) or "" in given:
            return False
        return all(given[n] == token for n, token in fixed)

    return matches


def subject_problem(pattern: str, *, wildcards: bool = True) -> str | None:
    """What is wrong with a subject, or with a pattern of subjects where ``wildcards`` are allowed, in a sentence."""
    what = "the subject pattern" if wildcards else "the subject"
    tokens = pattern.split(".")
    if "" in tokens:
        return f"{what} {shown(pattern)} has an empty token; write words with one dot between two"
    if any(character.isspace() or character == "\0" for character in pattern):
        return f"{what} {shown(pattern)} has a space in it; a subject has none"
    if not wildcards and ("*" in tokens or ">" in tokens):
        return f"{what} {shown(pattern)} has a wildcard; one publishes to a subject without '*' and '>'"
    if ">" in tokens[:-1]:
        return f"{what} {shown(pattern)} has '>' before its end; '>' is the rest of a subject, '*' is one token"
    for token in tokens:
        if len(token) > 1 and ("*" in token or ">" in token):
            return f"in {what} {shown(pattern)}, '*' and '>' stand for whole tokens, but {shown(token)} is one"
    return None


# ---------------------------------------------------------------- headers


def headers_match(binding: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Whether headers fit a binding: all of its headers, or with ``"x-match": "any"`` one of them, have its values.

    A value None asks only that the header is there. Headers that begin with ``x-`` count only with ``"all-with-x"`` and
    ``"any-with-x"``. Numbers, floats, truths and texts are never equal to each other, as in AMQP.

    >>> headers_match({"x-match": "any", "region": "eu", "vip": True}, {"region": "us", "vip": True})
    True
    """
    return headers_matcher(binding)(headers)


def headers_matcher(binding: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """A headers binding, compiled; a kind of match that is not known fits nothing."""
    kind = binding.get("x-match", "all")
    if not isinstance(kind, str) or kind not in HEADER_KINDS:
        return lambda _headers: False
    counts = (lambda name: name != "x-match") if kind.endswith("-with-x") else (lambda name: not name.startswith("x-"))
    wanted = [(name, None if value is None else _typed(value)) for name, value in binding.items() if counts(name)]
    whole = all if kind.startswith("all") else any

    def matches(headers: Mapping[str, Any]) -> bool:
        return whole(name in headers and (value is None or _typed(headers[name]) == value) for name, value in wanted)

    return matches


def _typed(value: Any) -> Any:
    """A value beside its class, so that 1, 1.0, True and "1" differ."""
    if isinstance(value, Mapping):
        return dict, {name: _typed(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list, [_typed(item) for item in value]
    return type(value), value


def headers_problem(binding: Mapping[str, Any]) -> str | None:
    """What is wrong with a headers binding, in a sentence; None when nothing is."""
    kind = binding.get("x-match", "all")
    if not isinstance(kind, str) or kind not in HEADER_KINDS:
        return f"x-match is {shown(kind)}; expected {', '.join(HEADER_KINDS)}{did_you_mean(kind, HEADER_KINDS)}"
    return None
