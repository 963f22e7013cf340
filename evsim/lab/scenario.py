"""A scenario: a list of parts that says what exists, as one value that can be compared, changed, kept and run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from evsim.errors import BadScenario, UnknownName, did_you_mean
from evsim.lab import explain, files
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Join, Leave, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.part import Part
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service

if TYPE_CHECKING:
    from evsim.lab.replicate import Replications
    from evsim.lab.run import Run
    from evsim.lab.session import Session

AnyPart = Annotated[
    Publisher | Log | Consumer | Service | Link | Crash | Pause | Join | Leave | Drop | Duplicate | Delay | Partition,
    Field(discriminator="kind"),
]
"""Every part that a scenario file may hold."""


class Scenario:
    """What exists, in the order in which the event travels: ``Scenario(Publisher(...), Log(...), Consumer(...))``.

    A part is a value, or any generator function of ``world``. Two scenarios are equal when their parts are.
    """

    __slots__ = ("name", "parts")
    parts: tuple[Any, ...]
    name: str

    def __init__(self, *parts: Any, name: str = "scenario") -> None:
        for part in parts:
            if not isinstance(part, Part) and not callable(part):
                raise BadScenario(f"{part!r} is no part: expected a Publisher, Log, Consumer…, or a generator function of world")
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "name", name)

    def __setattr__(self, field: str, value: Any) -> None:
        raise BadScenario(f"a scenario cannot be changed: make another with .plus(…) or .replace({field!r}, …)")

    # ---------------------------------------------------------------- the parts

    @property
    def named(self) -> dict[str, Part]:
        """The parts that have a name, by it."""
        return {part.name: part for part in self.parts if isinstance(part, Part) and part.name}

    def __getitem__(self, name: str) -> Part:
        if name not in self.named:
            raise UnknownName(f"no part called {name!r}{did_you_mean(name, self.named)}")
        return self.named[name]

    def plus(self, *parts: Any) -> Scenario:
        """The same with more parts."""
        return Scenario(*self.parts, *parts, name=self.name)

    def without(self, *gone: Any) -> Scenario:
        """The same without these parts, given by name or as values."""
        for each in gone:
            if isinstance(each, str):
                self[each]
            elif each not in self.parts:
                raise UnknownName(f"{each!r} is not in this scenario")
        kept = [p for p in self.parts if p not in gone and not (isinstance(p, Part) and p.name and p.name in gone)]
        return Scenario(*kept, name=self.name)

    def replace(self, name: str, **changes: Any) -> Scenario:
        """The same with some settings of one part changed: ``shop.replace("billing", members=4)``."""
        old = self[name]
        new = old.but(**changes)
        return Scenario(*(new if part is old else part for part in self.parts), name=self.name)

    def called(self, name: str) -> Scenario:
        """The same under another name."""
        return Scenario(*self.parts, name=name)

    def diff(self, other: Scenario) -> str:
        """What another scenario has differently, a line each; empty when they are equal."""
        return "\n".join(_differences(self, other))

    # ---------------------------------------------------------------- identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and (self.name, self.parts) == (other.name, other.parts)

    def __hash__(self) -> int:
        return hash((self.name, self.parts))

    def digest(self) -> str:
        """64 hexadecimal digits that name what the scenario says; handlers count by their name and code."""
        document = [_identity(part) for part in self.parts]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def __repr__(self) -> str:
        lines = ",\n".join(f"    {part!r}" if isinstance(part, Part) else f"    {_function_name(part)}" for part in self.parts)
        return f"Scenario(\n{lines},\n    name={self.name!r},\n)"

    # ---------------------------------------------------------------- checks

    def problems(self) -> list[str]:
        """Everything that is visibly wrong, a sentence each, in the order of the parts."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        seen: set[str] = set()
        parts = self.named
        for part in self.parts:
            if not isinstance(part, Part):
                continue
            if part.name in seen:
                yield f"{part.title}: there are two parts called {part.name!r}; give one another name"
            if part.name:
                seen.add(part.name)
            yield from part.check(parts)

    def check(self) -> Scenario:
        """The scenario itself, or BadScenario with all its problems."""
        problems = self.problems()
        if len(problems) == 1:
            raise BadScenario(problems[0])
        if problems:
            raise BadScenario(f"{len(problems)} problems, nothing was run:\n" + "\n".join(f"  {p}" for p in problems))
        return self

    def explain(self) -> str:
        """What to expect before anything runs: offered load, capacity and utilisation of each consumer."""
        return explain.tell(self.named)

    # ---------------------------------------------------------------- running

    def start(self, *, seed: int, until_s: float | None = None) -> Session:
        """A run that waits to be advanced, stepped, and finished by hand."""
        from evsim.lab.session import Session  # noqa: PLC0415

        return Session(self.check(), seed, until_s)

    def run(self, *, until_s: float, seed: int, progress: bool | None = None) -> Run:
        """Run until this time with this seed; Ctrl-C stops it and keeps what has happened so far."""
        return self.start(seed=seed, until_s=until_s).to_the_end(progress=progress)

    def replicate(self, n: int, *, until_s: float, first_seed: int = 1, executor: Executor | None = None) -> Replications:
        """Run with ``n`` seeds, from ``first_seed`` on, and keep the summaries."""
        from evsim.lab.replicate import replicate  # noqa: PLC0415

        return replicate(self, n, until_s=until_s, first_seed=first_seed, executor=executor)

    # ---------------------------------------------------------------- files

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain JSON values; BadScenario when a handler lives only in this session."""
        return files.to_dict(self)

    def to_json(self) -> str:
        """The scenario as JSON; ``from_json`` gives back an equal one."""
        return files.to_json(self)

    def to_yaml(self) -> str:
        """The scenario as YAML; ``from_yaml`` gives back an equal one."""
        return files.to_yaml(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Scenario:
        """The scenario that these JSON values describe, or BadScenario."""
        return files.from_text(json.dumps(document), cls, AnyPart, "scenario")

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """The scenario in this JSON text, or BadScenario."""
        return files.from_text(text, cls, AnyPart, "scenario")

    @classmethod
    def from_yaml(cls, text: str) -> Scenario:
        """The scenario in this YAML text, or BadScenario."""
        return files.from_text(text, cls, AnyPart, "scenario")

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """The scenario in this file (YAML or JSON), or BadScenario that names lines and fixes."""
        return files.load(path, cls, AnyPart)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of scenario files; it is published as ``evsim/lab/scenario.schema.json``."""
        return files.json_schema(AnyPart)


def _identity(part: Any) -> Any:
    if not isinstance(part, Part):
        return _code_identity(part)
    functions = {t: _code_identity(f) for t, f in (getattr(part, "on", None) or {}).items()}
    return part.describe() | ({"on": functions} if functions else {})


def _code_identity(function: Callable[..., Any]) -> list[str]:
    code = getattr(function, "__code__", None)
    made = hashlib.sha256(repr(_constants(code)).encode()).hexdigest()[:16] if code else ""
    return [_function_name(function), made]


def _constants(code: CodeType) -> list[Any]:
    """What a function does, apart from where it stands: names, constants, and inner functions."""
    inner = [_constants(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_names, code.co_varnames, inner]


def _function_name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _differences(one: Scenario, other: Scenario) -> Iterable[str]:
    if one.name != other.name:
        yield f"name: {one.name} → {other.name}"
    before, after = one.named, other.named
    for name, part in before.items():
        if name not in after:
            yield f"- {part!r}"
        elif after[name] != part:
            yield from _changed(name, part, after[name])
    yield from (f"+ {part!r}" for name, part in after.items() if name not in before)
    unnamed = [[p for p in s.parts if not (isinstance(p, Part) and p.name)] for s in (one, other)]
    yield from (f"- {_shown(part)}" for part in unnamed[0] if part not in unnamed[1])
    yield from (f"+ {_shown(part)}" for part in unnamed[1] if part not in unnamed[0])


def _shown(part: Any) -> str:
    return repr(part) if isinstance(part, Part) else _function_name(part)


def _changed(name: str, old: Part, new: Part) -> Iterator[str]:
    if type(old) is not type(new):
        yield f"{name}: {old!r} → {new!r}"
        return
    for field in type(old).model_fields:
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            yield f"{name}: {field} {was!r} → {now!r}"
