"""YAML and JSON read as plain data that remembers where in the text everything stands.

Only what JSON can say is read: no tags, no anchors, no aliases, no key twice, no number that is not finite. YAML words
are those of YAML 1.2: ``on`` and ``yes`` are text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

import yaml

DEPTH_MAX = 20
BYTES_MAX = 2**20
Path = tuple[str | int, ...]
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BLANK = re.compile(r"[ \t\r\n]*")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_DIGITS_MAX = 400


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a text: the line from 1, the column from 0, and how many characters."""

    line: int
    column: int
    length: int = 1


class Unreadable(Exception):
    """The text is not a document; where and why."""

    def __init__(self, spot: Spot, sentence: str) -> None:
        super().__init__(spot, sentence)
        self.spot, self.sentence = spot, sentence


@dataclass
class Marked:
    """Plain data, and where its values and its keys stand."""

    data: Any = None
    values: dict[Path, Spot] = field(default_factory=dict)
    keys: dict[Path, Spot] = field(default_factory=dict)

    def spot(self, path: Path) -> Spot:
        """Where the value of this path stands, or what is nearest around it."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, Spot(1, 0))

    def key_spot(self, path: Path) -> Spot:
        """Where the key of this path stands."""
        return self.keys.get(path) or self.spot(path)


# ---------------------------------------------------------------- YAML


def read_yaml(text: str) -> Marked:
    """The one document in this YAML text."""
    reader = _Yaml()
    try:
        return reader.read(text)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        spot = Spot(mark.line + 1, mark.column) if mark else Spot(1, 0)
        raise Unreadable(spot, f"this is not YAML: {problem.problem or problem.context}") from None
    except yaml.YAMLError as problem:
        place = getattr(problem, "position", 0)
        spot = _spot(text, place if isinstance(place, int) else 0)
        raise Unreadable(spot, "a character that no text file may hold; remove it") from None


class _Yaml:
    """Reads a stream of YAML events."""

    def __init__(self) -> None:
        self.marked = Marked()

    def read(self, text: str) -> Marked:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.DocumentStartEvent):
            self.marked.data = self.value(next(self.events), ())
            next(self.events)
            event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise Unreadable(_spot_of(event), "a second document begins here; a file holds one scenario")
        return self.marked

    def value(self, event: Any, path: Path) -> Any:
        _refuse_strange(event, len(path))
        self.marked.values[path] = _spot_of(event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        return self.mapping(path)

    def sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.value(event, (*path, len(found))))
        return found

    def mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            _refuse_strange(event, len(path))
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable(_spot_of(event), "a key must be a word")
            if event.value in found:
                raise Unreadable(_spot_of(event), f"'{event.value}' stands here twice; keep one")
            inner = (*path, event.value)
            self.marked.keys[inner] = _spot_of(event)
            found[event.value] = self.value(next(self.events), inner)
        return found


def _refuse_strange(event: Any, depth: int) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise Unreadable(
            _spot_of(event), "anchors (&) and aliases (*) are not read here; write it out, or quote the text"
        )
    if getattr(event, "tag", None) not in {None, "!"}:
        raise Unreadable(
            _spot_of(event), f"the tag {event.tag!r} is not read here; a scenario is plain text and numbers"
        )
    if depth > DEPTH_MAX:
        raise Unreadable(_spot_of(event), f"this is nested deeper than {DEPTH_MAX} levels")


def _spot_of(event: Any) -> Spot:
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Spot(start.line + 1, start.column, max(1, length))


def _scalar(event: Any) -> Any:
    text = event.value
    if event.style is not None or event.tag == "!":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= _DIGITS_MAX:
        return int(text)
    if _FLOAT.fullmatch(text):
        return _finite(float(text), text, _spot_of(event))
    return text


def _finite(number: float, text: str, spot: Spot) -> float:
    if not math.isfinite(number):
        raise Unreadable(spot, f"{text[:40]} is too large for a number")
    return number


# ---------------------------------------------------------------- JSON


def read_json(text: str) -> Marked:
    """The one value in this JSON text."""
    reader = _Json(text)
    reader.marked.data = reader.value(())
    if reader.at < len(text):
        reader.fail("expected the end of the file here")
    return reader.marked


class _Json:
    """Reads JSON from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.marked = text, 0, Marked()
        self.blank()

    def fail(self, sentence: str) -> NoReturn:
        raise Unreadable(_spot(self.text, self.at), f"this is not JSON: {sentence}")

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        assert match is not None, "nothing is blank too"
        self.at = match.end()

    def takes(self, mark: str) -> bool:
        """Whether this mark comes next; if so, go behind it."""
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self.blank()
        return True

    def value(self, path: Path) -> Any:
        if len(path) > DEPTH_MAX:
            raise Unreadable(_spot(self.text, self.at), f"this is nested deeper than {DEPTH_MAX} levels")
        start = self.at
        found = self.mapping(path) if self.takes("{") else self.sequence(path) if self.takes("[") else self.scalar()
        written = self.text[start : self.at].splitlines() or [""]
        self.marked.values[path] = _spot(self.text, start, len(written[0].rstrip()) if len(written) == 1 else 1)
        return found

    def sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not self.takes("]"):
            if found and not self.takes(","):
                self.fail("expected ',' or ']' here")
            found.append(self.value((*path, len(found))))
        return found

    def mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.takes("}"):
            if found and not self.takes(","):
                self.fail("expected ',' or '}' here")
            start = self.at
            if not self.text.startswith('"', start):
                self.fail("expected a key in double quotes here")
            key = self.string()
            if key in found:
                raise Unreadable(_spot(self.text, start, len(key) + 2), f"'{key}' stands here twice; keep one")
            self.marked.keys[(*path, key)] = _spot(self.text, start, len(key) + 2)
            if not self.takes(":"):
                self.fail("expected ':' here")
            found[key] = self.value((*path, key))
        return found

    def string(self) -> str:
        start = self.at
        try:
            found, self.at = scanstring(self.text, self.at + 1, True)
            found.encode()
        except json.JSONDecodeError as problem:
            self.fail(problem.msg.lower())
        except UnicodeEncodeError:
            self.at = start
            self.fail("a text with half a character")
        self.blank()
        return found

    def scalar(self) -> Any:
        if self.text.startswith('"', self.at):
            return self.string()
        for word, found in (("true", True), ("false", False), ("null", None)):
            if self.takes(word):
                return found
        match = _JSON_NUMBER.match(self.text, self.at)
        if match is None or len(match[0]) > _DIGITS_MAX:
            self.fail("expected a value here")
        spot = _spot(self.text, self.at, len(match[0]))
        self.takes(match[0])
        whole = match[1] is None and match[2] is None
        return int(match[0]) if whole else _finite(float(match[0]), match[0], spot)


def _spot(text: str, at: int, length: int = 1) -> Spot:
    return Spot(text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1), length)
