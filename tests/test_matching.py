"""Topics, subjects and headers match as the brokers' own documentation says, quickly whatever the pattern."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.patterns.matching import (
    headers_match,
    headers_problem,
    subject_matches,
    subject_problem,
    topic_matches,
    topic_problem,
)

# ---------------------------------------------------------------- references, as short as the definitions


def topic_reference(pattern, words):
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(topic_reference(rest, words[n:]) for n in range(len(words) + 1))
    return bool(words) and head in {"*", words[0]} and topic_reference(rest, words[1:])


def subject_reference(pattern, tokens):
    if pattern == [">"]:
        return bool(tokens)
    if not pattern or not tokens:
        return not pattern and not tokens
    return pattern[0] in {"*", tokens[0]} and subject_reference(pattern[1:], tokens[1:])


def same(wanted, given):
    return wanted is None or (type(wanted) is type(given) and wanted == given)


def headers_reference(binding, headers):
    kind = binding.get("x-match", "all")
    names = [n for n in binding if n != "x-match" and (kind.endswith("with-x") or not n.startswith("x-"))]
    found = [name in headers and same(binding[name], headers[name]) for name in names]
    return False not in found if kind.startswith("all") else True in found


words = st.lists(st.sampled_from(["a", "b", "stock", ""]), max_size=6)
topics = st.lists(st.sampled_from(["a", "b", "stock", "", "*", "#", "#"]), max_size=7)
tokens = st.lists(st.sampled_from(["a", "b", "orders"]), min_size=1, max_size=5)
subjects = st.builds(
    lambda body, end: [*body, *end],
    st.lists(st.sampled_from(["a", "b", "orders", "*"]), max_size=5),
    st.sampled_from([[], [">"], ["a"]]),
).filter(bool)
values = st.sampled_from([None, 1, 1.0, True, "1", "eu", 0, False, "", [1]])
names = st.sampled_from(["region", "vip", "x-tier", "size"])
kinds = st.sampled_from([{}, *({"x-match": kind} for kind in ("all", "any", "all-with-x", "any-with-x"))])


# ---------------------------------------------------------------- topics


@given(topics, words)
def test_a_topic_matches_as_its_definition_says(pattern, key):
    """A lone empty word reads as no word at all, as in AMQP, so a list is compared as it reads."""
    pattern, key = ([] if given == [""] else given for given in (pattern, key))
    assert topic_matches(".".join(pattern), ".".join(key)) == topic_reference(pattern, key)


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("stock.*.nyse", "stock.usd.nyse", True),
        ("stock.#", "stock.usd.nyse", True),
        ("stock.*.nyse", "stock", False),
        ("stock.#", "stock", True),
        ("*.orange.*", "quick.orange.rabbit", True),
        ("*.orange.*", "quick.orange.new.rabbit", False),
        ("lazy.#", "lazy.orange.new.rabbit", True),
        ("*.*.rabbit", "quick.orange.rabbit", True),
        ("#", "", True),
        ("*", "", False),
        ("", "", True),
        ("#.#", "", True),
        ("#.a", "a", True),
        ("#.a.#", "b.a.b", True),
        ("a.#.#.b", "a.b", True),
        ("*.#", "", False),
        ("stock.#", "stocks.usd", False),
        ("stock.#", "stock.", True),
        (".#", "", False),
        (".#", ".a", True),
    ],
)
def test_examples_of_the_rabbitmq_tutorial(pattern, key, fits):
    assert topic_matches(pattern, key) is fits


def test_no_pattern_is_slow():
    """Many '#' would take a backtracking matcher longer than the age of the world."""
    pattern, key = ".".join(["#", "a"] * 60 + ["b"]), ".".join("a" * 2000)
    start = time.perf_counter()
    assert not topic_matches(pattern, key)
    assert topic_matches(pattern, f"{key}.b")
    assert time.perf_counter() - start < 0.5


def test_a_topic_pattern_that_is_none_is_told_in_a_sentence():
    assert topic_problem("stock.*.#") is None
    assert "whole words" in topic_problem("stock.u*")
    assert "255 bytes" in topic_problem("a" * 256)


# ---------------------------------------------------------------- subjects


@given(subjects, tokens)
def test_a_subject_matches_as_its_definition_says(pattern, subject):
    assert subject_matches(".".join(pattern), ".".join(subject)) == subject_reference(pattern, subject)


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("time.*.east", "time.us.east", True),
        ("time.*.east", "time.us.east.atlanta", False),
        ("time.us.*", "time.us", False),
        ("time.us.>", "time.us.east.atlanta", True),
        ("time.us.>", "time.us", False),
        ("*.*.east.>", "time.us.east.atlanta", True),
        (">", "time", True),
        (">", "", False),
        ("*", "", False),
        ("a.>.b", "a.x.b", False),
    ],
)
def test_examples_of_the_nats_documentation(pattern, subject, fits):
    assert subject_matches(pattern, subject) is fits


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "empty token"),
        ("a..b", "empty token"),
        ("a b", "space"),
        ("a.>.b", "before its end"),
        ("order*", "whole tokens"),
        ("orders.x>", "whole tokens"),
    ],
)
def test_a_subject_pattern_that_is_none_is_told_in_a_sentence(pattern, said):
    assert said in subject_problem(pattern)


def test_one_publishes_to_a_subject_without_wildcards():
    assert subject_problem("orders.*") is None
    assert "wildcard" in subject_problem("orders.*", wildcards=False)
    assert subject_problem("orders.placed", wildcards=False) is None


# ---------------------------------------------------------------- headers


@given(kinds, st.dictionaries(names, values), st.dictionaries(names, values))
def test_headers_match_as_their_definition_says(kind, binding, headers):
    assert headers_match(kind | binding, headers) == headers_reference(kind | binding, headers)


def test_a_number_is_no_truth_and_no_text_even_inside_a_list():
    for wanted, given_value in [(1, True), (1, 1.0), (1, "1"), ([1], [True]), ({"n": 1}, {"n": 1.0})]:
        assert not headers_match({"a": wanted}, {"a": given_value})
    assert headers_match({"a": [1, {"n": 2}]}, {"a": (1, {"n": 2})})


def test_nothing_wanted_is_always_had_and_never_one_of_it():
    assert headers_match({}, {"a": 1})
    assert not headers_match({"x-match": "any"}, {"a": 1})
    assert headers_match({"x-tier": 1}, {}), "a header with x- is not looked at"


def test_a_headers_binding_that_is_none_is_told_in_a_sentence():
    assert headers_problem({"x-match": "any", "region": "eu"}) is None
    assert "did you mean 'any'" in headers_problem({"x-match": "anny"})
    assert headers_problem({"x-tier": 1}) is None
    assert not headers_match({"x-match": "anny", "a": 1}, {"a": 1})


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_can_be_compared(pattern, key):
    for matches in (topic_matches, subject_matches):
        assert matches(pattern, key) in {True, False}
    assert topic_matches("#", key)
