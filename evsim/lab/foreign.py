"""Documents from elsewhere, read as scenarios: every problem has its line, and what was understood becomes parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from evsim.errors import BadScenario, shown
from evsim.kinds import is_participle, kind_of
from evsim.lab.file import Problem, _Reading, report
from evsim.lab.marks import BYTES_MAX, Marked, Path, Unreadable, read_json, read_yaml
from evsim.sim.part import Part


class Foreign:
    """A document that is being read: its data, and what is wrong with it so far."""

    def __init__(self, text: str, where: str) -> None:
        if not isinstance(text, str):
            raise BadScenario(f"{where}: expected text, not {shown(text)}; read the file first")
        if len(text) > BYTES_MAX or len(text.encode(errors="replace")) > BYTES_MAX:
            raise BadScenario(f"{where}: a document of more than {BYTES_MAX} bytes is not read")
        self.text, self.where = text, where
        self.problems: list[Problem] = []
        reader: Callable[[str], Marked] = read_json if text.lstrip("\ufeff \t\r\n").startswith("{") else read_yaml
        try:
            self.marked = reader(text)
        except Unreadable as unreadable:
            problem = Problem(unreadable.spot, (), unreadable.sentence)
            raise BadScenario(report(where, text, [problem])) from None
        self.data = self.marked.data

    def wrong(self, path: Path, sentence: str) -> None:
        """Note what is wrong at this place of the document."""
        self.problems.append(Problem(self.marked.spot(path), path, sentence))

    def mapping(self, given: Any, path: Path) -> Mapping[str, Any]:
        """What stands here, if it is a mapping or nothing; else an empty one, and a problem."""
        if given is None or isinstance(given, dict):
            return given or {}
        self.wrong(path, f"{shown(given)} is no mapping; expected names with values")
        return {}

    def sequence(self, given: Any, path: Path) -> list[Any]:
        """What stands here, if it is a list or nothing; else an empty one, and a problem."""
        if given is None or isinstance(given, list):
            return given or []
        self.wrong(path, f"{shown(given)} is no list")
        return []

    def parts(self, described: list[tuple[Path, dict[str, Any]]]) -> tuple[Part, ...]:
        """Make parts of what was understood; BadScenario with all problems when there are any."""
        if not self.problems:
            reading = _Reading(Marked({"parts": [settings for _, settings in described]}))
            parts = reading.parts(reading.marked.data["parts"])
            for problem in reading.problems:
                at = described[int(problem.path[1])][0] if len(problem.path) > 1 else ()
                self.wrong(at, problem.sentence)
        if self.problems:
            raise BadScenario(report(self.where, self.text, self.problems))
        return parts


def part_name(name: str, taken: set[str]) -> str:
    """A name that a part may have, as near to this one as can be: ``orders-1`` becomes ``orders.1``."""
    name = " ".join(name.split()) or "unnamed"
    name = re.sub(r"-(\d+)$", r".\1", name)
    free = name
    while free in taken:
        free = f"{free}_"
    taken.add(free)
    return free


def event_type(name: str) -> str:
    """An event type that says what this foreign name says: ``UserSignedUp`` becomes ``user.signed_up``."""
    try:
        kind_of(name)
    except ValueError:
        words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)] or ["message"]
        words = words if words[0][0].isalpha() else ["message", *words]
        for at in range(1, len(words)):
            if words[at][0].isalpha() and is_participle("_".join(words[at:])):
                return _short(f"{'_'.join(words[:at])}.{'_'.join(words[at:])}")
        return _short(f"{'_'.join(words)}.sent")
    return name


def _short(candidate: str) -> str:
    """The candidate, if it is a type; else the plainest fact about it."""
    try:
        kind_of(candidate)
    except ValueError:
        return "message.sent"
    return candidate
