"""Who reaches whom: the few questions about arrows that the rules ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Ways = Mapping[str, Iterable[str]]
"""From each name to those that its arrows lead to."""


def reached(ways: Ways, *starts: str) -> set[str]:
    """All that can be reached from these by one arrow or more."""
    found: dict[str, None] = {}
    ahead = list(starts)
    for here in ahead:
        for after in ways.get(here, ()):
            if after not in found:
                found[after] = None
                ahead.append(after)
    return set(found)


def shortest(ways: Ways, start: str, end: str) -> list[str]:
    """The shortest way from one to the other, by one arrow or more; nothing when there is none."""
    came_from: dict[str, str] = {}
    ahead = [start]
    for here in ahead:
        for after in ways.get(here, ()):
            if after not in came_from:
                came_from[after] = here
                ahead.append(after)
        if end in came_from:
            break
    if end not in came_from:
        return []
    way = [end, came_from[end]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def knots(ways: Ways) -> list[list[str]]:
    """Those that reach one another, and with them themselves, a list each, in the order of the names."""
    beyond = {name: reached(ways, name) for name in ways}
    found: list[list[str]] = []
    for name in ways:
        if name in beyond[name] and not any(name in knot for knot in found):
            found.append([other for other in ways if other in beyond[name] and name in beyond[other]])
    return found
