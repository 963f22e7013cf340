"""Verdicts on a change of schema, with the names and the meaning that Confluent's Schema Registry gives them.

====================  =======================================================  ==================
mode                  promise                                                  who changes first
====================  =======================================================  ==================
``none``              nothing                                                  it depends
``backward``          the new version reads what the last one has written      consumers
``forward``           the last version reads what the new one writes           producers
``full``              both                                                     whoever likes
``…_transitive``      the same towards all versions before, not only the last  as above
====================  =======================================================  ==================

See https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html. Two things differ: a
verdict is computed on what pydantic really takes, and a name that a reader does not know harms nobody unless its model
says ``extra="forbid"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from evsim.errors import UnknownName, did_you_mean, shown
from evsim.schema.models import in_one_sentence, known_model
from evsim.schema.payload import Model
from evsim.schema.reading import Problem, reads
from evsim.schema.shapes import Array, Null, Object, Property, Shape, Union, resolved, shape_of
from evsim.schema.wording import path_of, words

Mode = Literal["none", "backward", "backward_transitive", "forward", "forward_transitive", "full", "full_transitive"]
MODES: tuple[str, ...] = get_args(Mode)
UPGRADE_FIRST = {"none": "nobody can say", "backward": "consumers", "forward": "producers", "full": "whoever likes"}
"""Who gets the new version first when a mode is kept."""


def known_mode(mode: object) -> Mode:
    """The mode of this name, in small or capital letters, or UnknownName."""
    name = mode.lower().replace("-", "_") if isinstance(mode, str) else ""
    if name not in MODES:
        raise UnknownName(f"no mode is called {shown(mode)}{did_you_mean(name, MODES)}")
    return name  # type: ignore[return-value]


def directions(mode: str) -> tuple[str, ...]:
    """Which ways a mode looks: ``backward``, ``forward``, both or neither."""
    base = mode.removesuffix("_transitive")
    return {"none": (), "full": ("backward", "forward")}.get(base, (base,))


@dataclass(frozen=True)
class Change:
    """One difference between two versions, and whom it harms."""

    path: str
    what: str
    backward: tuple[Problem, ...] = ()
    """Why the new version may not read old payloads because of it."""
    forward: tuple[Problem, ...] = ()
    """Why the old version may not read new payloads because of it."""

    def __str__(self) -> str:
        verdicts = {(True, True): "full", (True, False): "backward", (False, True): "forward", (False, False): "none"}
        kept = verdicts[not self.backward, not self.forward]
        lines = [f"{self.path or 'payload'}: {self.what}; keeps {kept}"]
        lines += [f"  backward: {problem}" for problem in self.backward]
        lines += [f"  forward:  {problem}" for problem in self.forward]
        return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """Whether a new version keeps a mode, with every change, and what breaks as evidence."""

    mode: Mode
    changes: tuple[Change, ...]
    backward: tuple[Problem, ...]
    """What the new version may not read of the versions that the mode asks about."""
    forward: tuple[Problem, ...]
    """What those versions may not read of the new one."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What breaks the mode."""
        return tuple(problem for way in directions(self.mode) for problem in getattr(self, way))

    @property
    def ok(self) -> bool:
        """Whether the mode is kept, proved."""
        return not self.problems

    @property
    def kept(self) -> str:
        """The strongest of the four modes that the change keeps."""
        both = {(True, True): "full", (True, False): "backward", (False, True): "forward"}
        return both.get((not self.backward, not self.forward), "none")

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        head = f"{self.mode}: compatible" if self.ok else f"{self.mode}: not compatible"
        changes = [f"  {line}" for change in self.changes for line in str(change).splitlines()]
        return "\n".join([head, *(changes or ["  nothing has changed"])])


def compatible(old: Model | Sequence[Model], new: Model, mode: str = "backward") -> Verdict:
    """The verdict on a new version after an old one, or after several, the oldest first.

    Transitive modes look at all of them, the others at the last.
    """
    asked = known_mode(mode)
    olds = [known_model(each) for each in (old if isinstance(old, Sequence) else [old])]
    looked_at = olds if asked.endswith("_transitive") else olds[-1:]
    with in_one_sentence(*looked_at, known_model(new)):
        backward = told_once(problem for each in looked_at for problem in reads(each, new))
        forward = told_once(problem for each in looked_at for problem in reads(new, each))
        return Verdict(asked, tuple(changes(olds[-1], new)) if olds else (), backward, forward)


def told_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each reason once, with its first example."""
    found: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.path, problem.reason), problem)
    return tuple(found.values())


# ---------------------------------------------------------------- what has changed


def changes(old: Model, new: Model) -> list[Change]:
    """Every difference between two versions, with the problems that it makes either way."""
    found = list(dict(_differences(shape_of(old), shape_of(new), (), 0)).items())
    backward, forward = list(reads(old, new)), list(reads(new, old))
    made: list[Change] = []
    for path, what in sorted(found, key=lambda each: -len(each[0])):  # the nearest difference answers for a problem
        mine = [[problem for problem in way if _lies_in(problem.path, path)] for way in (backward, forward)]
        backward = [problem for problem in backward if problem not in mine[0]]
        forward = [problem for problem in forward if problem not in mine[1]]
        made.append(Change(path, what, tuple(mine[0]), tuple(mine[1])))
    order = [path for path, _ in found]
    made.sort(key=lambda change: order.index(change.path))
    if backward or forward:
        made.append(Change("", "the rules for the whole", tuple(backward), tuple(forward)))
    return made


def _lies_in(path: str, place: str) -> bool:
    return path == place or path.startswith((f"{place}.", f"{place}[")) or not place


def _differences(old: Shape, new: Shape, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    old, new = resolved(old), resolved(new)
    if depth > 8:
        return
    if isinstance(old, Object) and isinstance(new, Object) and (old.fields or new.fields):
        yield from _fields(old, new, path, depth)
    elif isinstance(old, Array) and isinstance(new, Array) and old.item is not None and new.item is not None:
        if (old.shortest, old.longest, old.distinct) != (new.shortest, new.longest, new.distinct):
            yield path_of(path), f"{words(old)} becomes {words(new)}"
        yield from _differences(old.item, new.item, (*path, "[]"), depth + 1)
    elif isinstance(old, Union) and isinstance(new, Union) and len(old.options) == len(new.options) == 2:
        kept = [[option for option in each.options if not isinstance(option, Null)] for each in (old, new)]
        if len(kept[0]) == len(kept[1]) == 1:
            yield from _differences(kept[0][0], kept[1][0], path, depth)
        elif words(old) != words(new):
            yield path_of(path), f"{words(old)} becomes {words(new)}"
    elif words(old) != words(new):
        yield path_of(path), f"{words(old)} becomes {words(new)}"


def _fields(old: Object, new: Object, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    if old.extra != new.extra:
        says = {"ignore": "unknown names are passed over", "forbid": "unknown names are refused",
                "allow": "unknown names are kept"}  # fmt: skip
        yield path_of(path), says[new.extra]
    before, after = old.written, new.written
    for name, field in before.items():
        if name in after:
            yield from _field(field, after[name], (*path, name), depth)
            continue
        heir = next((each for each in after.values() if name in each.reads and each.name not in before), None)
        if heir is not None:
            yield path_of((*path, name)), f"renamed to {heir.name}, which is read under both names"
        else:
            yield path_of((*path, name)), "removed" + ("" if field.required else "; it had a default")
    for name, field in after.items():
        if name not in before:
            how = "added, and needed" if field.required else "added, with a default"
            if not any(other in before for other in field.reads):
                yield path_of((*path, name)), how
            else:
                yield path_of((*path, name)), "the new name of another"


def _field(old: Property, new: Property, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    found = dict(_differences(old.shape, new.shape, path, depth + 1))
    here = path_of(path)
    if old.required != new.required:
        now = "now needed" if new.required else "has a default now"
        found = {here: f"{now}; {found[here]}" if here in found else now} | {
            place: what for place, what in found.items() if place != here
        }
    elif old.reads != new.reads and not found:
        found[here] = f"is read as {' or '.join(new.reads)}"
    yield from found.items()
