"""The catalogue of a design: types of events with their owners and causes, and the things whose life they tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from evsim.design import rules_causes, rules_names, rules_owners, rules_states
from evsim.design.entry import Entity, EventType
from evsim.design.finding import Finding, Lint
from evsim.errors import BadScenario, UnknownName, did_you_mean, shown

if TYPE_CHECKING:
    from evsim.design.observed import Comparison
    from evsim.history import History
    from evsim.schema import Registry

RULES = (*rules_names.RULES, *rules_owners.RULES, *rules_causes.RULES, *rules_states.RULES)


class EventCatalogue:
    """What may happen, as it is designed: ``EventCatalogue(EventType(…), …, Entity(…), name="shop")``.

    A catalogue never changes; ``plus``, ``without`` and ``replace`` give another. ``lint`` says what is wrong with it,
    ``compare`` what a run did otherwise.
    """

    def __init__(self, *entries: EventType | Entity, name: str = "catalogue") -> None:
        for entry in entries:
            if not isinstance(entry, EventType | Entity):
                raise BadScenario(f"{shown(entry)} is no entry of a catalogue; give EventType(…) or Entity(…)")
        if not str(name).strip():
            raise BadScenario(f"name={shown(name)} is refused; a catalogue's name is a line of text such as 'shop'")
        twice = [each for each, times in Counter(e.name for e in entries if isinstance(e, Entity)).items() if times > 1]
        if twice:
            raise BadScenario(f"the entity {twice[0]!r} is given twice; put all its states into one")
        self.__dict__.update(entries=tuple(entries), name=name)

    entries: tuple[EventType | Entity, ...]
    name: str

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise BadScenario("a catalogue cannot be changed; make another with .plus(…), .without(…) or .replace(…)")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EventCatalogue):
            return NotImplemented
        return (self.name, self.entries) == (other.name, other.entries)

    def __hash__(self) -> int:
        return hash((self.name, self.entries))

    # ---------------------------------------------------------------- what is in it

    @cached_property
    def types(self) -> tuple[EventType, ...]:
        """The types of messages, in the order in which they were given."""
        return tuple(entry for entry in self.entries if isinstance(entry, EventType))

    @cached_property
    def entities(self) -> dict[str, Entity]:
        """The things with a life, by their names."""
        return {entry.name: entry for entry in self.entries if isinstance(entry, Entity)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the types, each once."""
        return tuple(dict.fromkeys(entry.type for entry in self.types))

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """The contexts, each once."""
        return tuple(dict.fromkeys(entry.owner for entry in self.types if entry.owner))

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[EventType]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)

    def __getitem__(self, name: str) -> EventType:
        """The type of this name."""
        if name not in self._by_name:
            raise UnknownName(f"{self.name} has no type {name!r}{did_you_mean(name, self.names)}")
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, EventType]:
        return {entry.type: entry for entry in reversed(self.types)}

    @cached_property
    def _by_cause(self) -> dict[str, list[EventType]]:
        found: dict[str, list[EventType]] = {}
        for entry in self.types:
            for cause in dict.fromkeys(entry.caused_by):
                found.setdefault(cause, []).append(entry)
        return found

    def actors(self, entry: EventType) -> tuple[str, ...]:
        """Its causes from outside: people, clocks, other systems."""
        return tuple(cause for cause in entry.caused_by if "." not in cause and cause not in self)

    def causes(self, entry: EventType) -> tuple[str, ...]:
        """Its causes that are messages themselves, in the catalogue or not."""
        return tuple(cause for cause in entry.caused_by if "." in cause or cause in self)

    def known(self, names: Iterable[str]) -> list[EventType]:
        """Those of these names that are types of the catalogue."""
        return [self[name] for name in names if name in self]

    def effects(self, name: str) -> list[EventType]:
        """What this type, or this actor, leads to."""
        return self._by_cause.get(name, [])

    def entity_of(self, entry: EventType) -> Entity | None:
        """The thing whose life this type tells, if the catalogue knows it."""
        return self.entities.get(entry.of or entry.noun)

    # ---------------------------------------------------------------- others like it

    def plus(self, *entries: EventType | Entity) -> EventCatalogue:
        """The same with more entries."""
        return EventCatalogue(*self.entries, *entries, name=self.name)

    def without(self, *names: str) -> EventCatalogue:
        """The same without these types."""
        gone = {self[name].type for name in names}
        kept = (each for each in self.entries if isinstance(each, Entity) or each.type not in gone)
        return EventCatalogue(*kept, name=self.name)

    def replace(self, name: str, /, **changes: Any) -> EventCatalogue:
        """The same with one type described otherwise; when it gets another name, its effects know it by that."""
        old = self[name]
        new = old.but(**changes)
        entries: list[EventType | Entity] = []
        for each in self.entries:
            if each is old:
                entries.append(new)
            elif isinstance(each, EventType) and new.type != name and name in each.caused_by:
                entries.append(each.but(caused_by=tuple(new.type if c == name else c for c in each.caused_by)))
            else:
                entries.append(each)
        return EventCatalogue(*entries, name=self.name)

    def called(self, name: str) -> EventCatalogue:
        """The same under another name."""
        return EventCatalogue(*self.entries, name=name)

    # ---------------------------------------------------------------- judged

    def lint(self) -> Lint:
        """Ask every rule about everything that it speaks of; see ``evsim/design/rules_*.py``."""
        findings: list[Finding] = []
        asked: Counter[str] = Counter()
        for rule in RULES:
            for name, finding in rule(self):
                asked[name] += 1
                findings += [finding] if finding is not None else []
        states = sum(len(entity.states) for entity in self.entities.values())
        return Lint(self.name, tuple(findings), asked, len(self.names) + states)

    def compare(self, history: History) -> Comparison:
        """What a run did that was never designed, and what was designed and never seen."""
        from evsim.design.observed import compare

        return compare(self, history)

    # ---------------------------------------------------------------- written down

    def registry(self, mode: str = "backward") -> Registry:
        """The payloads as version 1 of a registry of schemas."""
        from evsim.schema import Registry

        registry = Registry(mode)
        for entry in self.known(self.names):
            if entry.data is not None and entry.kind is not None:
                registry.register(entry.type, 1, entry.model)
        return registry

    def to_asyncapi(self) -> dict[str, Any]:
        """The catalogue as an AsyncAPI 3 document in plain values: a channel a context, a message a type."""
        from evsim.design.export import asyncapi

        return asyncapi(self)

    def __repr__(self) -> str:
        width = max((len(entry.type) for entry in self.types), default=0)
        lines = [f"{self.name}: {len(self)} types, {len(self.owners)} contexts"]
        for entry in self.types:
            causes = f"  after {', '.join(entry.caused_by)}" if entry.caused_by else ""
            moves = f"  {entry.of or entry.noun}: {entry.moves}" if entry.moves else ""
            kind = entry.kind or "?"
            lines.append(f"  {entry.type:<{width}}  {kind:<11}  {entry.owner or 'nobody':<10}{causes}{moves}")
        return "\n".join(lines)
