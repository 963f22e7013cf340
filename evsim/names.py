"""Names that end in a number: ``shop.3``, ``order-3``, ``billing-2`` are a stem and a number."""

from __future__ import annotations

import re

_NUMBERED_ID = re.compile(r"(.*)\.(0|[1-9]\d{0,8})", re.DOTALL)
_NUMBERED_KEY = re.compile(r"(.*)-(0|[1-9]\d{0,8})", re.DOTALL)


def split_id(event_id: str | None) -> tuple[str | None, int]:
    """An id as stem and number: ``shop.3`` is ("shop", 3), one without a number (itself, -1)."""
    return _split(_NUMBERED_ID, event_id)


def split_key(key: str | None) -> tuple[str | None, int]:
    """A key as stem and number: ``order-3`` is ("order", 3), ``gold`` is ("gold", -1), no key is (None, -1)."""
    return _split(_NUMBERED_KEY, key)


def _split(pattern: re.Pattern[str], text: str | None) -> tuple[str | None, int]:
    match = pattern.fullmatch(text) if text is not None else None
    return (text, -1) if match is None else (match[1], int(match[2]))


def part_of(node: str) -> str:
    """The part that a node belongs to: ``billing-2`` is a member of ``billing``."""
    stem, number = split_key(node)
    return stem if stem is not None and number >= 0 else node
