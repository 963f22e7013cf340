"""Exercises of notebook 22: data synchronisation."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held

ORDERS = 300
Row = tuple[str, int, Any]


def _changes(chance: random.Random) -> list[Row]:
    return [
        (key, version, None if chance.random() < 0.3 else f"{key}{version}")
        for key in "abc"
        for version in range(1, chance.randint(1, 4) + 1)
    ]


def _copy(apply: Callable[..., Any]) -> Outcome:
    for seed in range(ORDERS):
        chance = random.Random(seed)
        changes = _changes(chance)
        newest = {key: value for key, _, value in changes}
        wanted = {key: value for key, value in newest.items() if value is not None}
        coming = changes + chance.choices(changes, k=seed % 4)
        if seed:
            chance.shuffle(coming)
        rows: dict[str, Any] = {}
        for change in coming:
            apply(rows, *change)
        odd = next((key for key, row in rows.items() if not _is_row(row)), None)
        if odd is not None:
            return broken(
                f"rows[{odd!r}] is {rows[odd]!r}, which is not a pair of the version, a number, and the value",
                ask="how does the text of the exercise keep a row?",
            )
        found = {key: value for key, (_, value) in rows.items() if value is not None}
        key = next((key for key in {**wanted, **found} if found.get(key) != wanted.get(key)), None)
        if key is not None:
            told = ", ".join(f"{version}: {value}" for k, version, value in coming if k == key)
            return broken(
                f"changes of {key!r} came as {told or 'none at all'}; "
                f"you have {found.get(key)!r}, the source has {wanted.get(key)!r}",
                ask=_why(key in newest, key in wanted),
            )
    return held(f"for {ORDERS} orders of arrival")


def _is_row(row: Any) -> bool:
    return isinstance(row, tuple | list) and len(row) == 2 and type(row[0]) is int


def _why(known: bool, lives: bool) -> str:
    if not known:
        return "where did your copy find this key?"
    if lives:
        return "which of these changes is the newest, and what became of it in your copy?"
    return "after the deletion had come, what did your copy still know of the row?"


def _repairs(repairs: Callable[..., Any]) -> Outcome:
    for seed in range(ORDERS):
        chance = random.Random(seed)
        source, copy = ({key: chance.randint(0, 2) for key in "abcdef" if chance.random() < 0.6} for _ in range(2))
        found = list(repairs(dict(source), dict(copy)))
        mended = dict(copy)
        for repair in found:
            match repair:
                case ("put", key, value):
                    mended[key] = value
                case ("drop", key):
                    mended.pop(key, None)
                case _:
                    return broken(
                        f"the repair {repair!r} is neither ('put', key, value) nor ('drop', key)",
                        ask="what does the text of the exercise call the two kinds, and what belongs to each?",
                    )
        if mended != source:
            return broken(
                f"from {copy} your repairs make {mended}, and the source has {source}",
                ask="which keys are missing, which are too many, and which have another value?",
            )
        needed = sum(source.get(key, "-") != copy.get(key, "-") for key in {**source, **copy})
        if len(found) > needed:
            return broken(
                f"{len(found)} repairs for {needed} differences: {found}", ask="which of them changes nothing?"
            )
    return held(f"for {ORDERS} pairs of stores")


EXERCISES = (
    Exercise(
        "22.1",
        "A copy that survives disorder",
        "the copy has what the source has, in whatever order changes come and however often",
        "my_copy(rows, key, version, value)",
        _copy,
    ),
    Exercise(
        "22.2",
        "The reconciler",
        "the copy is like the source afterwards, and nothing is done that is not needed",
        "my_repairs(source, copy)",
        _repairs,
    ),
)
