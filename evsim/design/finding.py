"""What looking at a design brings to light: findings with given, expected and fix, and how much was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Finding:
    """One rule that is broken in one place."""

    rule: str
    where: str
    given: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.given}; expected {self.expected}; {self.fix}"

    def __repr__(self) -> str:
        lines = [f"✗ {self.rule:<8} {self.where}"]
        lines += [f"    {word:<9} {getattr(self, word)}" for word in ("given", "expected", "fix")]
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Lint:
    """The verdict on a catalogue: how often each rule was asked, and where it was broken."""

    name: str
    findings: tuple[Finding, ...]
    asked: Mapping[str, int]
    """How often each rule was asked."""
    places: int
    """How many types and states there are to judge."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", MappingProxyType(dict(self.asked)))

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def score(self) -> int:
        """The share of types and states at which nothing was found, in per cent: 100 only when all is well."""
        return 100 * (self.places - len(self.where)) // self.places if self.places else 100

    @property
    def where(self) -> tuple[str, ...]:
        """The types and states at which something was found, each once."""
        return tuple(dict.fromkeys(finding.where for finding in self.findings))

    def of(self, rule: str) -> tuple[Finding, ...]:
        """The findings of one rule."""
        return tuple(finding for finding in self.findings if finding.rule == rule)

    @property
    def broken(self) -> dict[str, int]:
        """How often each rule was broken, for those that were."""
        return {rule: len(self.of(rule)) for rule in self.asked if self.of(rule)}

    def __bool__(self) -> bool:
        return self.ok

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        found = len(self.findings)
        said = f"{found} finding{'' if found == 1 else 's'} at {len(self.where)}" if found else "nothing found"
        return f"{self.name}: score {self.score}, {said} {'of' if found else 'at'} {self.places} types and states"

    def __repr__(self) -> str:
        return "\n".join([self.line, *map(repr, self.findings)])
