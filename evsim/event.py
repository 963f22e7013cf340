"""The envelope in which everything travels: what happened, when, where, and what caused it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import quote, unquote

from evsim.errors import BadEvent, did_you_mean, shown
from evsim.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment that is second 0 of every run."""

TEXT_LENGTH = 200
DEPTH_MAX = 32
JSON_BYTES_MAX = 2**20
VERSION_MAX = 2**31 - 1
INTEGER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, repr=False, init=False)
class Event:
    """One message: a command, or a fact that cannot change any more.

    ``timestamp`` is in seconds since EPOCH; an aware datetime or RFC 3339 text is also taken. ``data`` is a JSON
    object; it is copied and frozen. ``version`` is that of the payload's schema, ``key`` what must stay in order.
    ``correlation_id`` names the whole conversation, ``causation_id`` the event that led to this one.
    """

    id: str
    type: str
    timestamp: float
    source: str
    data: Mapping[str, Any]
    version: int = 1
    key: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None

    def __new__(
        cls,
        id: str,  # noqa: A002 - the field's own name
        type: str,  # noqa: A002
        timestamp: float | datetime | str,
        source: str,
        data: Mapping[str, Any],
        version: int = 1,
        key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> Self:
        return cls.trusted(
            _text(id, "id"),
            _type(type, "type"),
            seconds_of(timestamp, "timestamp"),
            _text(source, "source"),
            _data(data, "data"),
            _version(version, "version"),
            _optional_text(key, "key"),
            _optional_text(correlation_id, "correlation_id"),
            _optional_text(causation_id, "causation_id"),
        )

    @classmethod
    def trusted(
        cls,
        id: str,  # noqa: A002 - the field's own name
        type: str,  # noqa: A002
        timestamp: float,
        source: str,
        data: Mapping[str, Any],
        version: int = 1,
        key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> Self:
        """An event from values that are known to be good: nothing is checked, copied or frozen."""
        event: Any = _Draft()
        event.id = id
        event.type = type
        event.timestamp = timestamp
        event.source = source
        event.data = data
        event.version = version
        event.key = key
        event.correlation_id = correlation_id
        event.causation_id = causation_id
        event.__class__ = cls
        return event

    @property
    def kind(self) -> Kind:
        """``"command"``, ``"domain"`` or ``"integration"``: the type says it."""
        return kind_of(self.type)

    def __hash__(self) -> int:
        return hash((self.id, self.source, self.type, self.timestamp))

    def __reduce__(self) -> tuple[Any, ...]:
        return _thawed_event, tuple(thaw(getattr(self, field)) for field in CHECKS)

    def __repr__(self) -> str:
        version = f" v{self.version}" if self.version != 1 else ""
        key = f" key {self.key}" if self.key is not None else ""
        data = repr(thaw(self.data))
        data = data if len(data) <= 100 else f"{data[:99]}…"
        return f"{self.type}{version} {self.id} at {round(self.timestamp, 6)} s{key} {data}"

    def to_dict(self) -> dict[str, Any]:
        """The event as plain JSON values, the timestamp as RFC 3339 text; what is None is left out."""
        plain = {field: getattr(self, field) for field in CHECKS}
        plain |= {"timestamp": to_rfc3339(self.timestamp), "data": thaw(self.data)}
        return {field: value for field, value in plain.items() if value is not None}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Event:
        """The event that this mapping describes, or BadEvent."""
        fields = _object(document, "event")
        unknown = next((name for name in fields if name not in CHECKS), None)
        if unknown is not None:
            raise BadEvent(f"{shown(unknown)} is not a field of an event{did_you_mean(unknown, CHECKS)}")
        missing = next((name for name in REQUIRED if name not in fields), None)
        if missing is not None:
            raise BadEvent(f"{missing} is missing; every event needs {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}")
        return cls(**fields)

    def to_json(self) -> str:
        """The event as one line of JSON; ``from_json`` gives back exactly this event."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Event:
        """The event that this JSON text describes, or BadEvent."""
        return cls.from_dict(read_json(text, "event"))

    def to_cloudevent(self) -> dict[str, Any]:
        """The event as a CloudEvents 1.0.2 document in structured JSON mode."""
        values = {attribute: getattr(self, field) for field, attribute in ATTRIBUTES.items()}
        values["time"] = to_rfc3339(self.timestamp)
        values["source"] = _to_uri_reference(self.source)
        values["data"] = thaw(self.data)
        document = {"specversion": "1.0", "datacontenttype": "application/json"} | values
        return {attribute: value for attribute, value in document.items() if value is not None}

    @classmethod
    def from_cloudevent(cls, document: Mapping[str, Any] | str | bytes) -> Event:
        """The event in this CloudEvent (a mapping or JSON text), or BadEvent; foreign extensions are left behind."""
        plain = read_json(document, "CloudEvent") if isinstance(document, str | bytes) else document
        given = {name: value for name, value in _object(plain, "CloudEvent").items() if value is not None}
        _check_cloudevent(given)
        source = _text(given["source"], "source", "such as '/shop'")
        given = {"data": {}, "dataversion": 1} | given | {"source": unquote(source)}
        values = [CHECKS[field](given.get(attribute), attribute) for field, attribute in ATTRIBUTES.items()]
        return cls.trusted(*values)


class _Draft:
    """An event while it is written: the same slots, open; becoming an Event closes it (half the cost of __init__)."""

    __slots__ = tuple(Event.__dataclass_fields__)


def _thawed_event(*values: Any) -> Event:
    return Event.trusted(*(freeze(value) if isinstance(value, dict) else value for value in values))


# ---------------------------------------------------------------- what each field may be


def _refuse(field: str, value: Any, reason: str) -> NoReturn:
    raise BadEvent(f"{field} {shown(value)} {reason}")


_NONCHARACTERS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")


def _text(value: Any, field: str, like: str = "such as 'shop.1'") -> str:
    if type(value) is str and value.isascii() and value.isprintable() and len(value) <= TEXT_LENGTH and value.strip():
        return value  # as nearly all are
    if not isinstance(value, str):
        _refuse(field, value, f"is not text; give 1 to {TEXT_LENGTH} characters {like}")
    if not value.strip():
        _refuse(field, value, f"is empty; give 1 to {TEXT_LENGTH} characters {like}")
    if len(value) > TEXT_LENGTH:
        _refuse(field, value, f"has {len(value)} characters; give at most {TEXT_LENGTH}, {like}")
    unfit = _UNFIT.search(value)
    if unfit:
        _refuse(field, value, f"contains {unfit[0]!a}, a control character or half a character; take it out")
    return str.__str__(value)


def _optional_text(value: Any, field: str) -> str | None:
    return None if value is None else _text(value, field, "such as 'order-1', or None")


def _type(value: Any, field: str) -> str:
    if not isinstance(value, str):
        _refuse(field, value, "is not text; name the event like 'order.placed', or the command like 'place.order'")
    kind_of(value)
    return str.__str__(value)


def _version(value: Any, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= VERSION_MAX:
        _refuse(field, value, f"is not a whole number from 1 to {VERSION_MAX}; the first version of a schema is 1")
    return int(value)


def _data(value: Any, field: str) -> Mapping[str, Any]:
    frozen: Mapping[str, Any] | None = frozen_at_once(value)
    if frozen is not None:
        return frozen
    if not isinstance(value, Mapping):
        _refuse(field, value, "is not a JSON object; give a mapping of names to values such as {'amount': 3}")
    slowly: Mapping[str, Any] = freeze(value, field)
    return slowly


def frozen_at_once(value: Any) -> Any:
    """What ``freeze`` gives for a flat dict of plain values, at a third of its price; None for everything else."""
    if type(value) is not dict:
        return None
    for name, entry in value.items():
        kind = type(entry)
        if kind is str:
            good = entry.isascii()
        elif kind is int:
            good = -INTEGER_MAX <= entry <= INTEGER_MAX
        elif kind is float:
            good = math.isfinite(entry)
        else:
            good = entry is None or kind is bool
        if not good or type(name) is not str or not name.isascii():
            return None
    return MappingProxyType(value.copy())


def freeze(value: Any, path: str = "data", depth: int = 1) -> Any:
    """A deep, unchangeable copy of a JSON value, or BadEvent that names the place."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            _refuse(_short(path), value, "contains half a character; decode the text as UTF-8 before it comes here")
        return str.__str__(value)
    if isinstance(value, int):
        if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
            _refuse(_short(path), value, "does not fit into 64 bits; give it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            _refuse(_short(path), value, "is not a JSON number; give a finite number, or None")
        return float(value)
    if not isinstance(value, Mapping | list | tuple):
        _refuse(_short(path), value, "is not JSON; give text, numbers, True, False, None, lists or mappings")
    if depth > DEPTH_MAX:
        raise BadEvent(f"{_short(path)} is nested deeper than {DEPTH_MAX} levels or contains itself; make data flatter")
    if not isinstance(value, Mapping):
        return tuple(freeze(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value))
    for name in value:
        if not isinstance(name, str):
            _refuse(_short(path), name, "is used as a name in a JSON object; names are text, so write it in quotes")
        freeze(name, f"a name in {path}")
    return MappingProxyType(
        {str.__str__(name): freeze(entry, f"{path}.{name}", depth + 1) for name, entry in value.items()}
    )


def thaw(value: Any) -> Any:
    """The same JSON value as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {name: thaw(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(entry) for entry in value]
    return value


def _short(path: str) -> str:
    plain = repr(path)[1:-1]
    return plain if len(plain) <= 80 else f"{plain[:40]}…{plain[-39:]}"


# ---------------------------------------------------------------- time as text

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d{1,400})?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EXACT = Context(prec=1200)
_DAY_0 = EPOCH.toordinal()
_FIRST_S = (date.min.toordinal() - _DAY_0) * 86400
_LAST_S = (date.max.toordinal() + 1 - _DAY_0) * 86400
_MOMENT = "give seconds since 2026-01-01T00:00:00Z, an aware datetime, or text such as '2026-01-01T00:00:00.412Z'"


def to_rfc3339(timestamp: float) -> str:
    """The moment as UTC text with at least three digits of a second, and as many as tell it exactly."""
    exact = Decimal(repr(float(timestamp)))
    whole = math.floor(exact)
    digits = f"{_EXACT.subtract(exact, Decimal(whole)):f}".partition(".")[2].rstrip("0")
    moment = EPOCH.replace(tzinfo=None) + timedelta(seconds=whole)
    return f"{moment.isoformat()}.{digits:0<3}Z"


def seconds_of(moment: Any, field: str = "timestamp") -> float:
    """Seconds since EPOCH of a number, an aware datetime or RFC 3339 text; BadEvent when it is none of these."""
    if type(moment) is float and _FIRST_S <= moment < _LAST_S:
        return moment + 0.0  # -0.0 becomes 0.0, which is the same moment
    if isinstance(moment, str):
        seconds = _parsed(moment, field)
    elif isinstance(moment, datetime):
        if moment.utcoffset() is None:
            _refuse(field, moment.isoformat(), "has no time zone; add one, such as tzinfo=datetime.UTC")
        passed = moment - EPOCH
        seconds = float(_EXACT.add(passed.days * 86400 + passed.seconds, Decimal(passed.microseconds).scaleb(-6)))
    elif isinstance(moment, int | float) and not isinstance(moment, bool):
        seconds = float(moment) if abs(moment) < 1e300 else math.inf
    else:
        _refuse(field, moment, f"is not a moment; {_MOMENT}")
    if not _FIRST_S <= seconds < _LAST_S:
        _refuse(field, moment, f"is not between the years 1 and 9999; {_MOMENT}")
    return seconds + 0.0


def _parsed(text: str, field: str) -> float:
    match = _RFC3339.fullmatch(text)
    if not match:
        _refuse(field, text, "is not an RFC 3339 moment with a time zone; write it like '2026-01-01T00:00:00.412Z'")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _DAY_0
    except ValueError:
        _refuse(field, text, "is a day that no calendar has; write it like '2026-01-01T00:00:00.412Z'")
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    offset = (int(offset_hours) * 60 + int(offset_minutes)) * (-60 if sign == "-" else 60) if sign else 0
    whole = days * 86400 + hour * 3600 + minute * 60 + second - offset
    return float(_EXACT.add(whole, Decimal(f"0{fraction or '.0'}")))


# ---------------------------------------------------------------- JSON as it comes in


def read_json(text: str | bytes, what: str, bytes_max: int = JSON_BYTES_MAX) -> Any:
    """Parse strictly: not too many bytes of UTF-8, no name twice, no NaN, or BadEvent."""
    if not isinstance(text, str | bytes | bytearray):
        raise BadEvent(f"{what} {shown(text)} is not JSON text; give str or bytes")
    if len(text) > bytes_max or (isinstance(text, str) and len(text.encode(errors="replace")) > bytes_max):
        raise BadEvent(f"{what} of more than {bytes_max} bytes is too large; send a reference to what is large")
    try:
        plain = (text.encode() if isinstance(text, str) else bytes(text)).decode()
        return json.loads(plain, object_pairs_hook=_once, parse_constant=_no_constant)
    except BadEvent:
        raise
    except RecursionError:
        raise BadEvent(f"{what} is nested deeper than {DEPTH_MAX} levels; make its data flatter") from None
    except UnicodeError:
        raise BadEvent(f"{what} {shown(text)} is not UTF-8; encode the JSON text as UTF-8") from None
    except ValueError as problem:
        raise BadEvent(f"{what} {shown(text)} is not JSON: {str(problem)[:100]}; give one JSON object") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise BadEvent(f"{shown(twice)} stands twice in one JSON object; keep one of them")
    return result


def _no_constant(name: str) -> NoReturn:
    raise BadEvent(f"{name} is not a JSON number; write null, or a finite number")


def _object(document: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise BadEvent(f"{what} {shown(document)} is not a JSON object; give one with {', '.join(REQUIRED)}")
    return document


# ---------------------------------------------------------------- CloudEvents

_JSON_CONTENT = re.compile(r"(application|text)/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_ATTRIBUTE_NAME = re.compile("[a-z0-9]+")
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_URI_PATH = re.compile(
    rf"{_SCHEME}(?!//).*"
    rf"|(?:{_SCHEME})?//(?:[^@/?]*@)?[^:@/?]*(?::[0-9]*)?(?:[/?].*)?"
    r"|(?!//)[^:/?]*(?:[/?].*)?"
)


def _check_cloudevent(given: Mapping[Any, Any]) -> None:
    if given.get("specversion") != "1.0":
        _refuse("specversion", given.get("specversion"), "is not a version that evsim reads; send CloudEvents '1.0'")
    if "data_base64" in given:
        raise BadEvent("data_base64 holds bytes, but data must be a JSON object; send it as data")
    odd = next((name for name in given if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name)), None)
    if odd is not None:
        hint = did_you_mean(odd, ATTRIBUTES.values())
        raise BadEvent(f"{shown(odd)} is not a CloudEvents attribute: names are lower-case letters and digits{hint}")
    missing = next((name for name in ("id", "source", "type", "time") if name not in given), None)
    if missing == "time":
        raise BadEvent("time is missing; add when it happened, such as '2026-01-01T00:00:00.412Z'")
    if missing:
        raise BadEvent(f"{missing} is missing; every CloudEvent needs id, source, specversion and type")
    content = given.get("datacontenttype", "application/json")
    if not isinstance(content, str) or not _JSON_CONTENT.fullmatch(content):
        _refuse("datacontenttype", content, "is not JSON; send the data as 'application/json'")


def _to_uri_reference(source: str) -> str:
    """Percent-encode what a URI reference may not hold, so that unquoting gives the source back."""
    path, mark, fragment = source.partition("#")
    encoded = quote(path, safe="/?:@!$&'()*+,;=")
    if not _URI_PATH.fullmatch(encoded):
        encoded = quote(path, safe="/?!$&'()*+,;=")
    return encoded + mark + quote(fragment, safe="/?:@!$&'()*+,;=")


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "id": _text,
    "type": _type,
    "timestamp": seconds_of,
    "source": _text,
    "data": _data,
    "version": _version,
    "key": _optional_text,
    "correlation_id": _optional_text,
    "causation_id": _optional_text,
}
"""The fields in order, with what makes each of them good."""

REQUIRED = ("id", "type", "timestamp", "source", "data")

ATTRIBUTES = {
    "id": "id",
    "type": "type",
    "timestamp": "time",
    "source": "source",
    "data": "data",
    "version": "dataversion",
    "key": "partitionkey",
    "correlation_id": "correlationid",
    "causation_id": "causationid",
}
"""What CloudEvents calls our fields: its own names, its documented extensions, and ``dataversion``."""
