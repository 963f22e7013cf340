"""An independent counter of copies: what the rows of a history say was stored, waits, is in flight, or has ended."""

from __future__ import annotations

from collections import Counter

ENDINGS = ("expired", "overflowed", "rejected", "exhausted", "lost", "missed")


def part_of(node):
    stem, _, number = node.rpartition("-")
    return stem if stem and number.isdigit() else node


def states_of(history, place, group):
    """The state of each copy of a pushing broker's place, for one consumer, and all that went wrong on the way."""
    states, wrong, out = {}, [], set()
    for row in history.of():
        here = row.place == place or row.place.startswith(f"{place}/")
        ours = here and (part_of(row.node) == group or row.node == place) and row.step != "fenced"
        if not ours or row.number < 0:
            continue
        copy = (row.place, row.number)
        before = states.get(copy)
        if row.step == "stored":
            states[copy] = "waiting"
            if before is not None:
                wrong.append(f"{row.event_id} stored twice as {copy}")
        elif row.step == "pushed":
            states[copy] = "in flight"
            out.add(copy)
            if before != "waiting":
                wrong.append(f"{row.event_id} ({copy}) pushed while {before} at {row.time}")
        elif row.step == "requeued":
            states[copy] = "waiting"
            if before != "in flight":
                wrong.append(f"{row.event_id} ({copy}) requeued while {before} at {row.time}")
        elif row.step == "acked" or row.step in ENDINGS:
            states[copy] = row.step
            if before not in {"waiting", "in flight"} or (row.step == "acked" and copy not in out):
                wrong.append(f"{row.event_id} ({copy}) {row.step} while {before} at {row.time}")
        elif row.step == "dead_lettered":
            wrong.append(f"unexpected place of {row.event_id}")
    return states, wrong


def counts(history, place, group):
    """How many copies are in each state at the end."""
    states, wrong = states_of(history, place, group)
    assert not wrong, wrong[:3]
    return Counter(states.values())
