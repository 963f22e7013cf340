"""Scenarios as documents: written as JSON or YAML, read back with every problem, its line, and what was meant."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evsim.errors import BadFile, BadScenario, did_you_mean, shown
from evsim.lab import plain, sense
from evsim.lab.handlers import HANDLERS
from evsim.lab.marks import BYTES_MAX, Marked, Spot, Unreadable, read_json, read_yaml
from evsim.sim.part import Part
from evsim.value import Value, mistakes

FORMAT = 1
FIELDS = ("evsim", "name", "parts")
_NAMES = ("name", "to", "of", "part", "start", "end", "awaits", "dead_letter")
_WIDTH = 76


# ---------------------------------------------------------------- writing


def document(name: str, parts: tuple[Any, ...]) -> dict[str, Any]:
    """The scenario as one JSON object; a part that is a function, or has one of its own, is refused."""
    return {"evsim": FORMAT, "name": name, "parts": [_written(part) for part in parts]}


def _written(part: Any) -> dict[str, Any]:
    if not isinstance(part, Part) or type(part) not in plain.PARTS:
        said = getattr(part, "__name__", shown(part))
        raise BadScenario(f"{said!r} is a part of your own and cannot be written to a file; keep it in Python")
    return plain.plain(part, plain.file_name)


def to_json(name: str, parts: tuple[Any, ...]) -> str:
    """A scenario as JSON text."""
    return json.dumps(document(name, parts), indent=2, allow_nan=False) + "\n"


def to_yaml(name: str, parts: tuple[Any, ...]) -> str:
    """A scenario as YAML text: a block for each part, one line for each setting."""
    whole = document(name, parts)
    whole["parts"] = [{setting: _short(value) for setting, value in part.items()} for part in whole["parts"]]
    return yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Short(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes what both YAML 1.1 and 1.2 read alike."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _short(value: Any) -> Any:
    return _Short(value) if isinstance(value, dict) else value


_Dumper.add_representer(
    _Short, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)
)
_Dumper.add_representer(
    list,
    lambda dumper, value: dumper.represent_sequence(
        "tag:yaml.org,2002:seq", value, flow_style=not any(isinstance(entry, dict) for entry in value)
    ),
)


_BREAKS = frozenset("\x85\u2028\u2029")
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _BREAKS.intersection(text) else None
    ),
)


def _resolve_like_the_reader() -> None:
    """Text that our reader would take for a number is quoted, also where YAML 1.1 would not (``1e3``)."""
    from evsim.lab.marks import _FLOAT

    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _Whole(_FLOAT), list("-+.0123456789"))


class _Whole:
    """A pattern that must match all of a text."""

    def __init__(self, pattern: Any) -> None:
        self.match = pattern.fullmatch


_resolve_like_the_reader()


# ---------------------------------------------------------------- reading


def text_of(path: str | Path) -> str:
    """The text of a file, if it is one, and not too large."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return file.read(BYTES_MAX + 1).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(f"{path.name} is not text in UTF-8; save it as such") from None
    except OSError as problem:
        raise BadFile(
            f"cannot read {path}: {(problem.strerror or str(problem)).lower()}; give the path of a file"
        ) from None


def from_json(text: str, where: str) -> tuple[str, tuple[Part, ...]]:
    """The name and the parts that a JSON text holds."""
    return _read(text, where, read_json)


def from_yaml(text: str, where: str) -> tuple[str, tuple[Part, ...]]:
    """The name and the parts that a YAML text holds."""
    return _read(text, where, read_yaml)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where in the text, where in the document, and a sentence."""

    spot: Spot
    path: tuple[str | int, ...]
    sentence: str


def _read(text: str, where: str, reader: Callable[[str], Marked]) -> tuple[str, tuple[Part, ...]]:
    if not isinstance(text, str):
        raise BadScenario(f"{where}: expected text, not {shown(text)}; for a file, use Scenario.load(path)")
    if len(text) > BYTES_MAX or len(text.encode(errors="replace")) > BYTES_MAX:
        raise BadScenario(f"{where}: a scenario of more than {BYTES_MAX} bytes is not read")
    try:
        reading = _Reading(reader(text))
    except Unreadable as unreadable:
        problem = Problem(unreadable.spot, (), unreadable.sentence)
        raise BadScenario(report(where, text, [problem])) from None
    name, parts = reading.scenario()
    if reading.problems:
        raise BadScenario(report(where, text, reading.problems))
    return name, parts


class _Reading:
    """Makes parts from a document and notes all that is wrong on the way."""

    def __init__(self, marked: Marked) -> None:
        self.marked = marked
        self.problems: list[Problem] = []

    def wrong(self, path: tuple[str | int, ...], sentence: str, *, key: bool = False) -> None:
        spot = self.marked.key_spot(path) if key else self.marked.spot(path)
        self.problems.append(Problem(spot, path, sentence))

    def scenario(self) -> tuple[str, tuple[Part, ...]]:
        whole = self.marked.data
        if not isinstance(whole, dict):
            self.wrong((), "a scenario is a mapping with 'name' and 'parts'")
            return "", ()
        for field in whole:
            if field not in FIELDS:
                self.wrong((field,), f"{field!r} is not a setting of a scenario{did_you_mean(field, FIELDS)}", key=True)
        if whole.get("evsim", FORMAT) != FORMAT:
            self.wrong(("evsim",), f"this file is of format {shown(whole['evsim'])}; this evsim reads format {FORMAT}")
        name = whole.get("name", "scenario")
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            self.wrong(("name",), f"{shown(name)} is no name; expected a line of text such as order-shop")
        return str(name), self.parts(whole.get("parts"))

    def parts(self, given: Any) -> tuple[Part, ...]:
        if not isinstance(given, list):
            said = "was not given" if given is None else f"is {shown(given)}"
            self.wrong(("parts",), f"'parts' {said}; expected a list of parts, each with a 'kind'")
            return ()
        made = [self.part(place, each) for place, each in enumerate(given)]
        broken = bool(self.problems)
        places = [place for place, part in enumerate(made) if part is not None]
        for number, sentence in sense.problems(part for part in made if part is not None):
            if not broken or "no part called" in sentence:
                self.wrong(self.blamed(places[number], sentence), sentence)
        return tuple(part for part in made if part is not None)

    def blamed(self, place: int, sentence: str) -> tuple[str | int, ...]:
        """The setting of this part that a sentence quotes, else the part."""
        part = self.marked.data["parts"][place]
        quoted = [field for field in part if field not in {"kind", "name"} and repr(field) in sentence]
        named = [field for field, given in part.items() if isinstance(given, str) and f"called {given!r}" in sentence]
        return ("parts", place, *(quoted or named)[:1])

    def part(self, place: int, given: Any) -> Part | None:
        """The part at this place; when something is wrong with it, a sketch of it that others may refer to."""
        path: tuple[str | int, ...] = ("parts", place)
        if not isinstance(given, dict):
            self.wrong(path, f"{shown(given)} is no part; expected a mapping with a 'kind', such as kind: log")
            return None
        kind = given.get("kind")
        if not isinstance(kind, str) or kind not in plain.KINDS:
            at = (*path, "kind") if "kind" in given else path
            said = f"no kind of part is called {shown(kind)}" if "kind" in given else "this part has no 'kind'"
            self.wrong(at, f"{said}{did_you_mean(kind or '', plain.KINDS)}")
            return None
        settings = {key: value for key, value in given.items() if key != "kind"}
        if isinstance(given.get("on"), dict):
            settings["on"] = {each: self.handler((*path, "on", each), word) for each, word in given["on"].items()}
        if kind == "publisher" and isinstance(given.get("data"), dict):
            settings["data"] = {each: self.law((*path, "data", each), law) for each, law in given["data"].items()}
        return self.made(path, plain.KINDS[kind], settings) or _sketch(plain.KINDS[kind], settings)

    def made(self, path: tuple[str | int, ...], kind: type[Value], settings: Mapping[str, Any]) -> Any:
        try:
            return kind.__pydantic_validator__.validate_python(dict(settings))
        except ValidationError as error:
            for loc, sentence in mistakes(error, kind, settings):
                inner = self.path_of(path, loc)
                self.wrong(inner, sentence.replace("=…", ": …"), key="is not a setting of" in sentence)
        return None

    def path_of(self, path: tuple[str | int, ...], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Follow a location through the document; steps that only name an arm of a union are left out."""
        for step in loc:
            if (*path, step) in self.marked.values:
                path = (*path, step)
        return path

    def handler(self, path: tuple[str | int, ...], word: Any) -> Any:
        if isinstance(word, str) and word in HANDLERS:
            return HANDLERS[word]
        self.wrong(path, f"no handler called {shown(word)} is in the catalogue{did_you_mean(word, HANDLERS)}")
        return print

    def law(self, path: tuple[str | int, ...], given: Any) -> Any:
        if not plain.is_law(given):
            return given
        return self.made(path, plain.LAWS[given["kind"]], {key: value for key, value in given.items() if key != "kind"})


def _sketch(kind: type[Part], settings: Mapping[str, Any]) -> Part | None:
    """A part that was not accepted, as far as others need it to exist: never run, never given away."""
    fields = kind.model_fields
    if any(field.is_required() and name not in settings for name, field in fields.items()):
        return None
    if not all(isinstance(settings[name], str) for name in _NAMES if name in settings):
        return None
    plainest = {name: None if field.is_required() else field.get_default() for name, field in fields.items()}
    sketch = kind.__new__(kind)
    object.__setattr__(sketch, "__dict__", plainest | {name: settings[name] for name in _NAMES if name in settings})
    return sketch


# ---------------------------------------------------------------- saying what is wrong


def report(where: str, text: str, problems: list[Problem]) -> str:
    """All problems in the order of the file, each with its line, the words meant, and a sentence."""
    lines = text.splitlines() or [""]
    many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    blocks = [f"{where}: {many}. Nothing was run."]
    ordered = sorted(problems, key=lambda each: (each.spot.line, each.spot.column))
    return "\n\n".join([*blocks, *("\n".join(_block(problem, lines)) for problem in ordered)])


def _block(problem: Problem, lines: list[str]) -> list[str]:
    spot = problem.spot
    path = "".join(f", {'.'.join(map(str, problem.path))}" if problem.path else "")
    line = lines[spot.line - 1].replace("\t", " ") if spot.line <= len(lines) else ""
    cut = max(0, spot.column - 40)
    window = line[cut : cut + 66]
    marks = "^" * max(1, min(spot.length, len(window) - (spot.column - cut)))
    return [
        f"  line {spot.line}{path}"[:_WIDTH],
        f"  {spot.line:5d} | {window}",
        f"        | {' ' * (spot.column - cut)}{marks}",
        *textwrap.wrap(problem.sentence, _WIDTH, initial_indent="    ", subsequent_indent="    "),
    ]
