"""Who must know whom: the price of each style of a saga, counted from its plan."""

from __future__ import annotations

from evsim.patterns.participant import reactions
from evsim.patterns.saga import Plan


def listens(plan: Plan, style: str = "orchestrated") -> dict[str, frozenset[str]]:
    """The types of event, made by others, that each service must know: the participants by their step, and the saga."""
    if style == "orchestrated":
        known = {step.do: frozenset(filter(None, (step.do, step.undo))) for step in plan.flat}
        return {**known, "the saga": frozenset(plan.types)}
    return {
        name: frozenset(each for reaction in table for group in reaction.hears for each in group)
        for name, table in reactions(plan).items()
    }


def coupling(plan: Plan, style: str = "orchestrated") -> int:
    """The pairs of service and service of which one must know messages of the other."""
    if style == "orchestrated":
        return 2 * len(plan.flat)
    owners = {plan.starts_on: "the shop"}
    for type_, (number, _, _) in plan.readings.items():
        owners[type_] = plan.flat[number].do
    heard = {(name, owners[each]) for name, types in listens(plan, style).items() for each in types}
    return sum(name != owner for name, owner in heard)


def changes(before: Plan, after: Plan, style: str = "orchestrated") -> tuple[str, ...]:
    """The services, of those that exist already, that must be changed when the plan changes."""
    if style == "orchestrated":
        return () if before == after else ("the saga",)
    old, new = listens(before, style), listens(after, style)
    return tuple(name for name in old if name in new and old[name] != new[name])
