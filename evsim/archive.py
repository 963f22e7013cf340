r"""How a history is kept in a file: text and columns, checked when read, nothing that runs.

Format, version 1::

    evsim-history 1\n                       the signature
    {...}\n                                 one line of JSON: sizes, the sha256 of all that follows, meta, parts
    zlib(tables)                           JSON: what the codes of the rows and events mean; payloads; notes
    zlib(rows)                             20 bytes a row, little-endian: time f8, what i4, event i4, number i4
    zlib(events)                           28 bytes an event: timestamp f8, template, n, key, causation, correlation i4
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.errors import BadFile

if TYPE_CHECKING:
    from evsim.history import History

SIGNATURE = b"evsim-history 1\n"
HEADER_MAX = 16 * 2**20
SECTION_MAX = 4 * 2**30
"""A section that would unpack to more bytes than this is refused."""


def save(history: History, path: str | Path) -> Path:
    """Write the history to ``path``; an old file there is replaced only when the new one is whole."""
    rows, table = history.rows.tobytes(), history.table.tobytes()
    tables = json.dumps(history.tables(), separators=(",", ":")).encode()
    packed = [zlib.compress(section, 6) for section in (tables, rows, table)]
    header = {
        "packed": [len(section) for section in packed],
        "plain": [len(tables), len(rows), len(table)],
        "sha256": hashlib.sha256(b"".join(packed)).hexdigest(),
        "meta": history.meta,
        "parts": history.parts,
    }
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as file:
        file.write(SIGNATURE + json.dumps(header).encode() + b"\n")
        file.writelines(packed)
    partial.replace(target)
    return target


def load(path: str | Path, history: History) -> History:
    """Fill the empty ``history`` from the file at ``path``, or raise BadFile with one sentence."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                raise BadFile(
                    f"{path.name} is not a history that evsim saved: it does not begin with 'evsim-history 1'"
                )
            header = _header(path, file.readline(HEADER_MAX))
            packed = [_section(path, file, size) for size in header["packed"]]
            rest = file.read(1)
    except OSError as problem:
        raise BadFile(f"cannot read {path}: {problem.strerror or problem}; give the path of a saved history") from None
    if rest or hashlib.sha256(b"".join(packed)).hexdigest() != header["sha256"]:
        raise BadFile(f"{path.name} was changed after it was saved: its checksum does not match; save the run again")
    tables, rows, table = (_unpack(path, section, size) for section, size in zip(packed, header["plain"], strict=True))
    history.meta, history.parts = header["meta"], header["parts"]
    try:
        history.refill(rows, table, json.loads(tables))
        _check(history)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise BadFile(
            f"{path.name} contradicts itself: its codes point outside its tables; save the run again"
        ) from None
    return history


def _header(path: Path, line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
        sizes = [*header["packed"], *header["plain"]]
        whole = len(header["packed"]) == len(header["plain"]) == 3 and isinstance(header["sha256"], str)
        sane = all(isinstance(size, int) and 0 <= size <= SECTION_MAX for size in sizes)
        described = isinstance(header["meta"], dict) and isinstance(header["parts"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = sane = described = False
    if not (whole and sane and described):
        raise BadFile(f"{path.name} is cut short or damaged: its header is not whole; save the run again")
    return header


def _section(path: Path, file: Any, size: int) -> bytes:
    section = file.read(size)
    if len(section) != size:
        raise BadFile(f"{path.name} is cut short: {size - len(section)} bytes are missing; copy or save it again")
    return section


def _unpack(path: Path, section: bytes, size: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(section, size + 1)
    except zlib.error:
        plain = b""
    if len(plain) != size:
        raise BadFile(
            f"{path.name} is damaged: a section does not unpack to the {size} bytes it promises; save it again"
        )
    return plain


def _check(history: History) -> None:
    """Refuse what could make a reader go wrong: codes outside the tables, time that goes back or is not a number."""
    rows, table = history.rows, history.table
    events, whats = len(table), len(history.whats)
    texts, kept = len(history.texts), history.data
    words: list[Any] = [*history.texts, *(word for what in history.whats for word in what)]
    words += [word for template in history.templates for word in (template.stem, template.type, template.source)]
    whole: list[Any] = [*kept.values(), *history.notes]
    inside = [
        not len(rows) or (np.isfinite(rows["time"]).all() and (np.diff(rows["time"]) >= 0).all()),
        ((rows["what"] >= 0) & (rows["what"] < whats)).all(),
        ((rows["event"] >= -1) & (rows["event"] < events)).all(),
        ((table["template"] >= 0) & (table["template"] < len(history.templates))).all(),
        np.isfinite(table["timestamp"]).all(),
        all(((table[c] < events) & (table[c] >= -1 - texts)).all() for c in ("causation", "correlation")),
        all(type(index) is int and 0 <= index < events for index in kept),
        all(isinstance(word, str) for word in words),
        all(isinstance(mapping, dict) for mapping in whole),
    ]
    if not all(inside):
        raise ValueError
