"""The versions of one type of event, and the way that old payloads go to the newest."""

from __future__ import annotations

from typing import Any

from evsim.errors import BadEvent, BadSchema, UnknownName, shown
from evsim.schema.models import in_one_sentence
from evsim.schema.payload import CURE, Model, validated
from evsim.schema.reading import Problem, reads, takes
from evsim.schema.samples import samples
from evsim.schema.shapes import shape_of
from evsim.schema.upcasting import Step, Upcaster


class Chain:
    """The models of one type, version 1 first, and the upcasters between them.

    Where no upcaster stands, a payload goes on as it is: what the next upcaster or the reader meets may be older than
    the version before it.
    """

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        self.models: list[Model] = []
        self.steps: dict[int, Step] = {}

    @property
    def newest(self) -> int:
        """The newest version."""
        return len(self.models)

    @property
    def versions(self) -> range:
        """The versions: 1, 2, … without a gap."""
        return range(1, self.newest + 1)

    def model(self, version: int) -> Model:
        """The model of one version, or UnknownName."""
        if type(version) is not int or version not in self.versions:
            raise UnknownName(self.unknown(version))
        return self.models[version - 1]

    def unknown(self, version: Any) -> str:
        """What is said of a version that is not here."""
        known = "only version 1 is" if self.newest == 1 else f"1 to {self.newest} are"
        return f"version {shown(version)} of {self.event_type} is unknown; {known} registered"

    def out_of_turn(self, version: Any) -> str | None:
        """What is said of a version that is not the next; None for the next."""
        count, kind = self.newest, self.event_type
        if type(version) is int and version == count + 1:
            return None
        if type(version) is int and version in self.versions:
            return f"{kind} has a version {version} already, and what is stored cannot change; register {count + 1}"
        said = f"versions of {kind} go up to {count}" if count else f"{kind} has no version yet"
        return f"{said}, so {shown(version)} is not the next; register {count + 1}"

    def upcast(self, version: Any, function: Upcaster) -> None:
        """Have ``function`` bring payloads from this version to the next."""
        if type(version) is not int or version not in self.versions:
            raise BadSchema(
                f"an upcaster of {self.event_type} from version {shown(version)} starts nowhere; "
                f"versions are 1 to {self.newest}"
            )
        if version in self.steps:
            raise BadSchema(f"{self.steps[version]} is there already; one step has one upcaster")
        self.steps[version] = Step(self.event_type, version, function)

    # ---------------------------------------------------------------- the way up

    def raised(self, payload: Any, version: int, target: int) -> Any:
        """The payload of this version as that of a later one; as it is when the other is not later."""
        for step in self.steps_between(version, target):
            payload = step(payload)
        return payload

    def steps_between(self, version: int, target: int) -> list[Step]:
        """The upcasters on the way from one version to another."""
        return [self.steps[at] for at in range(version, target) if at in self.steps]

    def unread(self, version: int, model: Model, target: int) -> tuple[Problem, ...]:
        """Why payloads of this version may not be read by this model, which is that of a later version.

        Without an upcaster on the way this is a verdict. With one nothing is proved, all is tried.
        """
        old = self.models[version - 1]
        if not self.steps_between(version, target):
            with in_one_sentence(old, model):
                return reads(old, model)
        with in_one_sentence(old, model):
            tried = [payload for payload in samples(shape_of(old)) if takes(old, payload)]
            tried += [each.example for each in reads(old, model) if each.proven]
        for payload in tried:
            try:
                validated(model, self.raised(payload, version, target), "the new version")
            except BadEvent as problem:
                return (Problem("", str(problem).removesuffix(f"; {CURE}"), payload, proven=True),)
        return ()

    def gaps(self) -> tuple[str, ...]:
        """Every stretch on which old payloads are stranded, and why.

        Looked at are the step from each version, the way to the next upcaster, which meets what no upcaster has brought
        up, and the way to the newest version. A gap is told once, by the last version before it.
        """
        found: dict[int, str] = {}
        for version in reversed(self.versions[:-1]):
            meets = next((at for at in range(version + 1, self.newest) if at in self.steps), self.newest)
            for end in dict.fromkeys((version + 1, self.newest if version in self.steps else meets, self.newest)):
                if found.keys().isdisjoint(range(version, end)) and (problems := self._stranded(version, end)):
                    found[version] = f"{self.event_type} {version} → {end}: {problems[0]}"
        return tuple(reversed(found.values()))

    def _stranded(self, version: int, end: int) -> tuple[Problem, ...]:
        return self.unread(version, self.models[end - 1], end)
