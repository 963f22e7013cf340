"""The judges of notebook 22 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom


def copy_by_version(rows, key, version, value):
    if version > rows.get(key, (0, None))[0]:
        rows[key] = (version, value)


def copy_in_lists(rows, key, version, value):
    if key not in rows or rows[key][0] < version:
        rows[key] = [version, value]


def takes_the_last(rows, key, version, value):
    rows[key] = (version, value)


def takes_the_first(rows, key, version, value):
    rows.setdefault(key, (version, value))


def forgets_the_deleted(rows, key, version, value):
    if value is None and version > rows.get(key, (0, None))[0]:
        rows.pop(key, None)
    elif value is not None:
        copy_by_version(rows, key, version, value)


def keeps_the_value(rows, key, version, value):
    rows[key] = value


def keeps_a_dict(rows, key, version, value):
    rows[key] = {"version": version, "value": value}


def turns_the_pair(rows, key, version, value):
    rows[key] = (value, version)


def keeps_a_note(rows, key, version, value):
    copy_by_version(rows, key, version, value)
    rows["last"] = (version, key)


def keeps_nothing(rows, key, version, value):
    pass


NEWEST, DELETED, KEPT = "which of these changes is the newest", "after the deletion had come", "keep a row"


@pytest.mark.parametrize(
    ("answer", "saw", "ask"),
    [
        (copy_by_version, "", ""),
        (copy_in_lists, "", ""),
        (takes_the_last, "the source has", NEWEST),
        (takes_the_first, "the source has", NEWEST),
        (forgets_the_deleted, "the source has None", DELETED),
        (keeps_the_value, "rows['a'] is 'a4', which is not a pair", KEPT),
        (keeps_a_dict, "rows['a'] is {'version': 4, 'value': 'a4'}, which is not a pair", KEPT),
        (turns_the_pair, "rows['a'] is ('a4', 4), which is not a pair", KEPT),
        (keeps_a_note, "changes of 'last' came as none at all", "where did your copy find this key?"),
        (keeps_nothing, "you have None", NEWEST),
    ],
)
def test_a_copy_survives_disorder(answer, saw, ask):
    outcome = classroom.check("22.1", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw
    assert ask in outcome.ask


def mends(source, copy, put="put", drop="drop"):
    puts = [(put, key, value) for key, value in source.items() if copy.get(key) != value]
    return puts + [(drop, key) for key in copy if key not in source]


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (mends, ""),
        (lambda source, copy: (list(act) for act in mends(source, copy)), ""),
        (lambda source, copy: mends(source, copy, drop="delete"), "the repair ('delete', 'a') is neither"),
        (lambda source, copy: mends(source, copy, put="set"), "is neither ('put', key, value) nor ('drop', key)"),
        (lambda source, copy: [("put", key) for key in source], "the repair ('put', 'c') is neither"),
        (lambda source, copy: list(source), "the repair 'c' is neither"),
        (lambda source, copy: [("drop", key) for key in copy], "the source has"),
        (lambda source, copy: [act for act in mends(source, copy) if act[0] == "put"], "the source has"),
        (lambda source, copy: [("put", *row) for row in source.items()] + mends(source, copy), "differences"),
        (lambda source, copy: None, "we could not use what my_repairs gave"),
    ],
)
def test_what_is_repaired_is_needed_and_enough(answer, saw):
    outcome = classroom.check("22.2", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw
