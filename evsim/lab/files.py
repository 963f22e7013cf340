"""Scenarios as text: JSON and YAML both ways, read as untrusted, with the line of each mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from evsim.errors import BadScenario, EvsimError, did_you_mean
from evsim.sim.part import Part
from evsim.value import sentences

if TYPE_CHECKING:
    from evsim.lab.scenario import Scenario

BYTES_MAX = 2**20
DEPTH_MAX = 32
NODES_MAX = 50_000
FORMAT = 1
_KEYS = ("evsim", "name", "parts")


# ---------------------------------------------------------------- out


def to_dict(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON values."""
    return {"evsim": FORMAT, "name": scenario.name, "parts": [_part(part) for part in scenario.parts]}


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Part):
        name = getattr(part, "__name__", "a function")
        raise BadScenario(f"the process {name!r} lives in your session; a file can hold parts only")
    given = {field: getattr(part, field) for field in part.model_fields_set if field != "on"}
    document: dict[str, Any] = {"kind": part.kind}
    plain = part.model_dump(mode="json", exclude={"on"} if hasattr(part, "on") else None)
    document |= {f: v for f, v in plain.items() if f in given or v != _default(part, f)}
    if getattr(part, "on", None) is not None:
        document["on"] = _handler_names(part)
    return document


def _default(part: Part, field: str) -> Any:
    info = type(part).model_fields[field]
    value = info.get_default(call_default_factory=True)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _handler_names(part: Any) -> dict[str, str]:
    from evsim.lab.catalog import HANDLERS  # noqa: PLC0415 - the catalogue is made of scenarios

    known = {function: name for name, function in HANDLERS.items()}
    for event_type, function in part.on.items():
        if function not in known:
            raise BadScenario(
                f"the handler {getattr(function, '__name__', '?')!r} of {part.name!r} for {event_type!r} lives in your session: "
                f"a file can name only the handlers of the catalogue ({', '.join(HANDLERS)})"
            )
    return {event_type: known[function] for event_type, function in part.on.items()}


def to_json(scenario: Scenario) -> str:
    """The scenario as JSON text."""
    return json.dumps(to_dict(scenario), indent=2, ensure_ascii=False)


def to_yaml(scenario: Scenario) -> str:
    """The scenario as YAML text."""
    return yaml.safe_dump(to_dict(scenario), sort_keys=False, allow_unicode=True, width=100)


# ---------------------------------------------------------------- in


def load(path: str | Path, make: Any, any_part: Any) -> Scenario:
    """The scenario in a file."""
    path = Path(path)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BadScenario(f"{path.name} has more than {BYTES_MAX} bytes; no scenario is that long")
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise BadScenario(f"cannot read {path}: {problem.strerror or problem}; give the path of a scenario file") from None
    except UnicodeDecodeError:
        raise BadScenario(f"{path.name} is not text in UTF-8; save it as UTF-8") from None
    return from_text(text, make, any_part, path.name)


def from_text(text: str, make: Any, any_part: Any, title: str) -> Scenario:
    """The scenario in YAML or JSON text (JSON is YAML), or BadScenario with every problem and its line."""
    if len(text.encode(errors="replace")) > BYTES_MAX:
        raise BadScenario(f"{title} has more than {BYTES_MAX} bytes; no scenario is that long")
    node = _compose(text, title)
    document = _plain(node, title)
    problems: list[tuple[int, str]] = list(_frame(document, node))
    parts: list[Part] = []
    if not problems:
        adapter: TypeAdapter[Any] = TypeAdapter(any_part)
        for entry, entry_node in zip(document["parts"], _value(node, "parts").value, strict=True):
            try:
                parts.append(adapter.validate_python(_with_handlers(entry)))
            except ValidationError as error:
                told = sentences(error, any_part, entry).split("\n")
                problems += [(_line_of(entry_node, detail), sentence) for detail, sentence in _paired(error, told)]
            except EvsimError as error:
                problems += [(entry_node.start_mark.line, line) for line in str(error).split("\n")]
    if problems:
        raise BadScenario(_report(title, text, problems))
    scenario = make(*parts, name=document.get("name", "scenario"))
    told = scenario.problems()
    if told:
        lines = {part.title: n.start_mark.line for part, n in zip(parts, _value(node, "parts").value, strict=True)}
        raise BadScenario(_report(title, text, [(lines.get(sentence.partition(": ")[0], 0), sentence) for sentence in told]))
    return scenario  # type: ignore[no-any-return]


def _compose(text: str, title: str) -> yaml.Node:
    """The text as a tree of nodes with their lines; nothing is built from it, no alias is followed."""
    try:
        tokens = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            tokens += 1
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
                line = token.start_mark.line + 1
                raise BadScenario(f"{title}, line {line}: anchors, aliases and tags are not read; write the values out")
            if tokens > 4 * NODES_MAX:
                raise BadScenario(f"{title} has more than {NODES_MAX} values; no scenario is that long")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadScenario(f"{title}, line {line}: this is not YAML: {error.problem}; look at the indentation") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadScenario(f"{title} cannot be read as YAML: {str(error)[:80]}") from None
    if node is None:
        raise BadScenario(f"{title} is empty; expected 'name' and 'parts'")
    return node


def _plain(node: yaml.Node, title: str) -> Any:
    _check_depth(node, title)
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        raise BadScenario(f"{title} cannot be read: {str(error)[:80]}") from None


def _check_depth(node: yaml.Node, title: str) -> None:
    ahead = [(node, 1)]
    while ahead:
        each, depth = ahead.pop()
        if depth > DEPTH_MAX:
            raise BadScenario(f"{title}, line {each.start_mark.line + 1}: nested deeper than {DEPTH_MAX} levels")
        if isinstance(each, yaml.MappingNode):
            names = [key.value for key, _ in each.value]
            twice = next((key for key, _ in each.value if names.count(key.value) > 1), None) if len(names) < 1000 else None
            if twice is not None:
                raise BadScenario(f"{title}, line {twice.start_mark.line + 1}: {twice.value!r} stands twice; keep one of them")
            ahead += [(child, depth + 1) for pair in each.value for child in pair]
        elif isinstance(each, yaml.SequenceNode):
            ahead += [(child, depth + 1) for child in each.value]


def _frame(document: Any, node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Problems of the outermost level."""
    if not isinstance(document, dict):
        yield 0, "this is no scenario; expected 'name' and a list of 'parts'"
        return
    for key, key_node in zip(document, (k for k, _ in node.value), strict=True):
        if key not in _KEYS:
            yield key_node.start_mark.line, f"{key!r} is not a setting of a scenario{did_you_mean(key, _KEYS)}"
    if document.get("evsim", FORMAT) != FORMAT:
        yield _line(node, "evsim"), f"format {document['evsim']!r} is not known; this version of evsim reads format {FORMAT}"
    if not isinstance(document.get("name", ""), str):
        yield _line(node, "name"), f"the name {document['name']!r} is not text"
    parts = document.get("parts")
    if not isinstance(parts, list) or not parts:
        yield _line(node, "parts"), "'parts' is missing or empty; expected a list of parts, such as {kind: log, name: orders}"
        return
    for part, part_node in zip(parts, _value(node, "parts").value, strict=True):
        if not isinstance(part, dict) or "kind" not in part:
            yield part_node.start_mark.line, f"{str(part)[:60]!r} is no part; expected a mapping with 'kind', such as {{kind: log, name: orders}}"


def _with_handlers(entry: dict[str, Any]) -> dict[str, Any]:
    """Names of handlers become the functions of the catalogue: nothing else can be named."""
    on = entry.get("on")
    if not isinstance(on, dict):
        return entry
    from evsim.lab.catalog import HANDLERS  # noqa: PLC0415

    for name in on.values():
        if name not in HANDLERS:
            raise BadScenario(f"no handler called {name!r} in the catalogue{did_you_mean(name, HANDLERS)}")
    return entry | {"on": {event_type: HANDLERS[name] for event_type, name in on.items()}}


# ---------------------------------------------------------------- lines


def _value(node: yaml.Node, key: str) -> Any:
    return next((value for k, value in node.value if k.value == key), node)


def _line(node: yaml.Node, key: str) -> int:
    return int(next((k.start_mark.line for k, _ in node.value if k.value == key), node.start_mark.line))


def _line_of(node: yaml.Node, location: tuple[Any, ...]) -> int:
    """The line of the setting that pydantic's location names, as near as the text has it."""
    line = node.start_mark.line
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == step), None)
            if found is not None:
                line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
    return int(line)


def _paired(error: ValidationError, told: list[str]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Each sentence with the location of the mistake that it speaks of, by the setting that it names."""
    locations = [detail["loc"] for detail in error.errors(include_url=False)]
    for sentence in told:
        named = [loc for loc in locations if loc and re.search(rf"\b{re.escape(str(loc[-1]))}\b", sentence)]
        yield (named or locations)[0], sentence


def _report(title: str, text: str, problems: list[tuple[int, str]]) -> str:
    lines = text.splitlines()
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    told = [f"{title}: {count}. Nothing was run."]
    for line, sentence in sorted(problems, key=lambda problem: problem[0]):
        source = lines[line].strip() if line < len(lines) else ""
        told.append(f"\n  line {line + 1}    {source[:60]}\n    {sentence}")
    return "\n".join(told)


def json_schema(any_part: Any) -> dict[str, Any]:
    """The JSON Schema of scenario files; handlers appear as names of the catalogue."""
    from evsim.lab.catalog import HANDLERS  # noqa: PLC0415

    part = TypeAdapter(any_part).json_schema(schema_generator=_Schema, ref_template="#/$defs/{model}")
    definitions = part.pop("$defs", {})
    definitions["Consumer"]["properties"]["on"] = {
        "anyOf": [{"type": "object", "additionalProperties": {"enum": sorted(HANDLERS)}}, {"type": "null"}],
        "default": None,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evsim scenario",
        "type": "object",
        "additionalProperties": False,
        "required": ["parts"],
        "properties": {
            "evsim": {"const": FORMAT},
            "name": {"type": "string"},
            "parts": {"type": "array", "minItems": 1, "items": part},
        },
        "$defs": definitions,
    }


class _Schema(GenerateJsonSchema):
    """pydantic's own generator, in which a function is any text: it is replaced by the names of the catalogue."""

    def callable_schema(self, schema: Any) -> dict[str, Any]:
        """A handler is written as its name."""
        return {"type": "string"}
