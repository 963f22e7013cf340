"""Every building block of a scenario: a frozen value with a name, and how it comes to life."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from evsim.errors import a_or_an, did_you_mean
from evsim.value import Value

if TYPE_CHECKING:
    from evsim.sim.world import World


BROKERS = ("log", "queue", "exchange", "pubsub", "webhook", "stream")
"""The kinds of part that one can publish to."""

SOURCES = ("log", "queue", "pubsub", "webhook", "stream")
"""The kinds of part that one can consume from."""

STEPPING = ("consumer", "saga", "projection", "router", "wiretap", "resequencer", "relay")
"""The kinds of part whose members pass the five steps of a delivery."""

SERVICES = ("service", "cache")
"""The kinds of part that one can ask and that answer."""

NODES = (
    "publisher", "clients", *BROKERS, "consumer", "saga", "projection", "router", "wiretap", "resequencer", "relay",
    "redrive", *SERVICES, "event_store",
)  # fmt: skip
"""The kinds of part that lie at an end of a link, and that a fault can hit."""


class Part(Value):
    """A building block. ``build`` starts what a user could write as well; a part is never changed by a run."""

    if TYPE_CHECKING:

        @property
        def name(self) -> Any: ...
        @property
        def kind(self) -> Any: ...

    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields that name another part, and the kinds of part they may name."""

    def build(self, world: World) -> Any:
        """Bring the part to life in this world."""
        raise NotImplementedError

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Problems that are visible before the run, a sentence each."""
        if self.name and _NUMBERED.fullmatch(self.name):
            other = self.name.rstrip("-0123456789")
            yield f"{self.title}: a name may not end in a dash and a number, for so members are called; try {other!r}"
        for field, kinds in self.refers.items():
            for name in _names(getattr(self, field)):
                yield from self.refer(field, name, kinds, parts)

    def refer(self, field: str, name: str, kinds: tuple[str, ...], parts: Mapping[str, Part]) -> Iterator[str]:
        """Whether ``field`` names a part of one of these kinds."""
        found = parts.get(name)
        fitting = [other for other, part in parts.items() if part.kind in kinds]
        if found is None:
            yield f"{self.title}: no part called {name!r} for {field!r}{did_you_mean(name, fitting or parts)}"
        elif found.kind not in kinds:
            expected = " or ".join(kinds)
            hint = did_you_mean(name, fitting)
            yield f"{self.title}: {field!r} names {name!r}, {a_or_an(found.kind)}; expected {a_or_an(expected)}{hint}"

    @property
    def title(self) -> str:
        """How the part is called in a sentence."""
        kind = self.kind
        return f"{kind} {self.name!r}" if self.name else str(kind)

    def describe(self) -> dict[str, Any]:
        """The part as JSON, with functions by their names: what a history keeps of it."""
        return {field: _described(getattr(self, field)) for field in type(self).model_fields}


_NUMBERED = re.compile(r".*-\d+", re.DOTALL)


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _described(value: Any) -> Any:
    if isinstance(value, Value):
        return {field: _described(getattr(value, field)) for field in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _described(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(item) for item in value]
    return (
        value
        if value is None or isinstance(value, (bool, int, float, str))
        else getattr(value, "__name__", repr(type(value)))
    )
