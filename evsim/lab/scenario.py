"""A scenario: a list of parts that name each other, as a value that is checked, changed, compared, kept and run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from evsim.errors import BadScenario, UnknownName, did_you_mean, shown
from evsim.lab import explain, file, plain, schema, sense
from evsim.lab.run import Run, Session
from evsim.lab.schedule_sense import too_late
from evsim.lab.text import Lines, Text
from evsim.sim.network import Link
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.lab.replicate import Replications
    from evsim.lab.search import Covered, Found
    from evsim.lab.token import Replay


class Scenario:
    """What exists, in the order the event travels: ``Scenario(Publisher(…), Log(…), Consumer(…))``.

    A part is a Publisher, Log, Consumer, Service, Link, a fault, or any generator function of ``world``. A scenario
    never changes; ``plus``, ``without`` and ``replace`` give another. Two are equal when they say the same, their
    functions included: by name and by what they do.
    """

    __slots__ = ("_canonical", "name", "parts")
    name: str
    parts: tuple[Any, ...]
    _canonical: str

    def __init__(self, *parts: Any, name: str = "scenario") -> None:
        for part in parts:
            _refuse_what_is_no_part(part)
        if not _is_name(name):
            raise BadScenario(
                f"name={shown(name)} is refused; a scenario's name is a line of text such as 'order-shop'"
            )
        for slot, value in (("name", name), ("parts", parts), ("_canonical", plain.canonical(name, parts))):
            object.__setattr__(self, slot, value)

    # ---------------------------------------------------------------- a value

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise BadScenario(
            f"a scenario cannot be changed; make another with .plus(…), .without(…) or .replace(…, {name}=…)"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise BadScenario("a scenario cannot be changed; make another with .plus(…), .without(…) or .replace(…)")

    def __reduce__(self) -> Any:
        return partial(Scenario, name=self.name), self.parts

    def __eq__(self, other: object) -> bool:
        return self._canonical == other._canonical if isinstance(other, Scenario) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __repr__(self) -> str:
        shown_parts = [repr(part) if isinstance(part, Part) else part.__name__ for part in self.parts]
        return "\n".join(["Scenario(", *(f"    {part}," for part in shown_parts), f"    name={self.name!r},", ")"])

    def digest(self) -> str:
        """64 hexadecimal digits: equal for two scenarios if and only if they say the same."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()

    @property
    def named(self) -> Mapping[str, Part]:
        """The parts that have a name, by it."""
        return sense.named(self.parts)

    def __getitem__(self, name: str) -> Part:
        """The part of this name."""
        if name not in self.named:
            raise UnknownName(f"no part called {name!r}{did_you_mean(name, self.named)}")
        return self.named[name]

    # ---------------------------------------------------------------- others like it

    def plus(self, *parts: Any) -> Scenario:
        """The same with more parts, faults for instance."""
        return Scenario(*self.parts, *parts, name=self.name)

    def without(self, *parts: Any) -> Scenario:
        """The same without these parts, each given by its name or as itself."""
        left = list(self.parts)
        for part in parts:
            gone = self[part] if isinstance(part, str) else part
            if gone not in left:
                raise UnknownName(
                    f"{shown(part)} is no part of {self.name}; it has {', '.join(map(_title, self.parts))}"
                )
            left.remove(gone)
        return Scenario(*left, name=self.name)

    def replace(self, part: str, /, **changes: Any) -> Scenario:
        """The same with other settings of one part: ``shop.replace("billing", members=4)``."""
        old = self[part]
        if isinstance(old, Link) and old.name == f"{old.start}>{old.end}":
            changes = {"name": None, **changes}
        new = old.but(**changes)
        return Scenario(*(new if each is old else each for each in self.parts), name=self.name)

    def called(self, name: str) -> Scenario:
        """The same under another name."""
        return Scenario(*self.parts, name=name)

    def diff(self, other: Scenario) -> Lines:
        """What one must change in this scenario to get the other, a line for each change."""
        return Lines(_differences(self, other))

    # ---------------------------------------------------------------- before a run

    def problems(self) -> Lines:
        """All that is wrong and visible before a run, a sentence each."""
        return Lines(dict.fromkeys(sentence for _, sentence in sense.problems(self.parts)))

    def check(self) -> Scenario:
        """This scenario, if it can run; else BadScenario with all its problems."""
        self._refuse(self.problems())
        return self

    def _refuse(self, problems: Sequence[str]) -> None:
        """BadScenario with these problems, if there are any."""
        if len(problems) == 1:
            raise BadScenario(str(problems[0]))
        if problems:
            listed = "\n".join(f"  {problem}" for problem in problems)
            raise BadScenario(f"{self.name}: {len(problems)} problems. Nothing was run.\n{listed}")

    def explain(self) -> Text:
        """What to expect of a run: load, capacity and utilisation of each consumer, and warnings."""
        return Text(explain.explained(self.name, self.check().parts))

    # ---------------------------------------------------------------- runs

    def start(self, seed: int, ties: int = 0) -> Session:
        """A run in your hand, at time 0: advance it, step it, finish it.

        ``ties`` above 0 names the chance that shuffles what happens at the same moment, 0 leaves the order as it is.
        """
        return Session(self.check(), seed, ties)

    def run(self, until_s: float, seed: int, progress: bool | None = None) -> Run:
        """Run from 0 to ``until_s`` seconds of simulated time; equal seeds give equal histories.

        ``progress`` shows a bar (None: when the run lasts and somebody is watching). Ctrl-C ends the run early and
        keeps what happened so far.
        """
        self._refuse(list(too_late(self.parts, until_s)))
        return self.start(seed).run_until(until_s, progress).finish()

    def replicate(self, n: int, until_s: float, first_seed: int = 1, executor: Executor | None = None) -> Replications:
        """Run with ``n`` seeds in a row and keep the summaries; ``executor`` may run them side by side."""
        from evsim.lab.replicate import replicate

        return replicate(self.check(), n, until_s, first_seed, executor)

    def search(self, *promises: Any, budget: int = 2000, until_s: float = 60.0, **settings: Any) -> Found | Covered:
        """Look for a schedule (seed, faults, order) that breaks a promise, and shrink it; see ``evsim.lab.search``."""
        from evsim.lab.search import search

        return search(self, promises, budget=budget, until_s=until_s, **settings)

    def replay(self, token: str) -> Replay:
        """Run again what the token names, with the functions of this scenario, and say whether it is the same run."""
        from evsim.lab.token import replay

        return replay(token, self)

    # ---------------------------------------------------------------- kept

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain JSON values."""
        return file.document(self.name, self.parts)

    def to_json(self) -> str:
        """The scenario as a JSON document, which ``json_schema`` describes."""
        return file.to_json(self.name, self.parts)

    def to_yaml(self) -> str:
        """The scenario as YAML: the same document, easier on the eye."""
        return file.to_yaml(self.name, self.parts)

    @classmethod
    def from_json(cls, text: str, where: str = "JSON") -> Scenario:
        """The scenario in this JSON, or BadScenario with every problem and its line, under the title ``where``."""
        name, parts = file.from_json(text, where)
        return cls(*parts, name=name)

    @classmethod
    def from_yaml(cls, text: str, where: str = "YAML") -> Scenario:
        """The scenario in this YAML, or BadScenario with every problem and its line, under the title ``where``."""
        name, parts = file.from_yaml(text, where)
        return cls(*parts, name=name)

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """The scenario in this file: JSON if its name ends in ``.json``, else YAML."""
        text, where = file.text_of(path), Path(path).name
        return cls.from_json(text, where) if where.endswith(".json") else cls.from_yaml(text, where)

    @classmethod
    def from_asyncapi(cls, text: str, where: str = "AsyncAPI") -> Scenario:
        """The scenario that an AsyncAPI 3 document describes, in YAML or JSON; see ``evsim.lab.asyncapi``."""
        from evsim.lab import asyncapi

        name, parts = asyncapi.read(text, where)
        return cls(*parts, name=name)

    def to_asyncapi(self, envelope: Literal["structured", "binary"] = "structured") -> str:
        """The scenario as an AsyncAPI 3 document in YAML, from which ``from_asyncapi`` reads the same scenario."""
        from evsim.lab import asyncapi_writing

        return asyncapi_writing.written(self.name, self.parts, envelope)

    @classmethod
    def from_rabbitmq(cls, text: str, vhost: str | None = None, where: str = "definitions") -> Scenario:
        """The exchanges and queues of one virtual host in RabbitMQ definitions (``rabbitmqctl export_definitions``)."""
        from evsim.lab import rabbitmq

        name, parts = rabbitmq.read(text, vhost, where)
        return cls(*parts, name=name)

    def to_rabbitmq(self) -> str:
        """The exchanges and queues as RabbitMQ definitions in JSON; other parts are left out."""
        from evsim.lab import rabbitmq_writing

        return rabbitmq_writing.written(self.parts)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of scenario files; it is also kept in ``evsim/lab/scenario.schema.json``."""
        return schema.json_schema()


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()


def _refuse_what_is_no_part(part: Any) -> None:
    if isinstance(part, Part) or (callable(part) and not isinstance(part, type)):
        return
    what = f"the class {part.__name__} itself" if isinstance(part, type) else shown(part)
    raise BadScenario(
        f"{what} is no part; expected a Publisher(…), Log(…), Consumer(…)…, or a generator function of world"
    )


def _title(part: Any) -> str:
    return part.title if isinstance(part, Part) else f"function {part.__name__}"


def _differences(old: Scenario, new: Scenario) -> Iterator[str]:
    if old.name != new.name:
        yield f"scenario: name {old.name} → {new.name}"
    before, after = old.named, new.named
    for name, part in before.items():
        if name not in after:
            yield f"- {part!r}"
        elif type(after[name]) is not type(part):
            yield from (f"- {part!r}", f"+ {after[name]!r}")
        else:
            yield from _changes(part, after[name])
    yield from (f"+ {part!r}" for name, part in after.items() if name not in before)
    gone, come = _nameless(old), _nameless(new)
    yield from (f"- {text}" for text in (gone - come).elements())
    yield from (f"+ {text}" for text in (come - gone).elements())
    if old != new and sorted(map(repr, old.parts)) == sorted(map(repr, new.parts)) and old.name == new.name:
        yield "the same parts in another order, or with functions that do something else"


def _changes(old: Part, new: Part) -> Iterator[str]:
    for field in type(old).model_fields:
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield f"{old.name}: {field} {_shown(before)} → {_shown(after)}"


def _nameless(scenario: Scenario) -> Counter[str]:
    """Faults and functions, as text."""
    others = (part for part in scenario.parts if not (isinstance(part, Part) and part.name))
    return Counter(repr(part) if isinstance(part, Part) else _title(part) for part in others)


def _shown(value: Any) -> str:
    """A setting as its reader would write it: functions by their names."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(entry)}" for key, entry in value.items()) + "}"
    return value if isinstance(value, str) else getattr(value, "__name__", shown(value))
