"""The judges of notebook 20 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom
from evsim.errors import BadScenario
from evsim.view.plots import anomaly_table

ENDS = {"mail.sent", "stock.released", "reserve-stock.refused"}


def detector(ends=ENDS, patience=1.0):
    def my_detector(heard, now, silent_s):
        quiet = {key for key, seen in heard.items() if seen[-1][0] <= now - patience * silent_s}
        return [key for key in quiet if not ends & {kind for _, kind in heard[key]}]

    return my_detector


def impolite(item, key):
    return True


def forgetful(item, key):
    return item["lock"] in {None, key}


def strict(item, key):
    if item["lock"] is None:
        item["lock"] = key
        return True
    return False


def polite(item, key):
    if item["lock"] in {None, key}:
        item["lock"] = key
        return True
    return False


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (detector(), ""),
        (detector(ends=ENDS - {"stock.released"}), "is not stuck at"),
        (detector(ends=ENDS | {"card.charged"}), "and you did not find it"),
        (lambda heard, now, silent_s: None, "my_detector gave None"),
    ],
    ids=["right", "forgets an end", "ends too early", "gives nothing"],
)
def test_a_detector_finds_all_and_no_other(answer, saw):
    outcome = classroom.check("20.1", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (polite, ""),
        (impolite, "more were sold than there were"),
        (forgetful, "more were sold than there were"),
        (strict, "order-1 has the lock and asks again"),
    ],
    ids=["polite", "impolite", "forgetful", "strict"],
)
def test_a_lock_keeps_others_out_and_its_owner_in(answer, saw):
    outcome = classroom.check("20.2", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw


def test_the_table_of_anomalies_says_who_is_clean():
    assert anomaly_table({"none": {"lost": 3}, "lock": {"lost": 0}}).claim == "Only lock leaves nothing to see"
    assert anomaly_table({"none": {"lost": 3}}).claim == "None of 1 cures leaves nothing to see"
    two = anomaly_table({"a": {"lost": 0}, "b": {"lost": 0}, "c": {"lost": 1}})
    assert two.claim == "2 of 3 leave nothing to see"
    assert two.png("dark").startswith(b"\x89PNG")
    with pytest.raises(BadScenario, match="was given nothing"):
        anomaly_table({})
