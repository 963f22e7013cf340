"""What is wrong with parts as a whole, known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evsim.errors import a_or_an
from evsim.lab.schedule_sense import overlaps
from evsim.sim.part import Part


def named(parts: Iterable[Any]) -> Mapping[str, Part]:
    """The parts that have a name, by it; of twins, the first."""
    found: dict[str, Part] = {}
    for part in parts:
        if isinstance(part, Part) and part.name:
            found.setdefault(part.name, part)
    return found


def problems(parts: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """Each problem as the place of the part in the list, and a sentence."""
    parts = tuple(parts)
    known = named(parts)
    for place, part in enumerate(parts):
        if not isinstance(part, Part):
            continue
        if part.name and known[part.name] is not part:
            kinds = " and ".join(a_or_an(each.kind) for each in (known[part.name], part))
            yield place, f"two parts are called {part.name!r}, {kinds}; rename one"
        yield from ((place, sentence) for sentence in part.check(known))
    yield from overlaps(parts)
