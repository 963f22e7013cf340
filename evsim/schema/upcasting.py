"""Bringing a payload up from one version to the next, one plain function a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evsim.errors import BadEvent, BadSchema, shown
from evsim.event import freeze, thaw

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A pure function: the payload of one version in, that of the next out. What it is given is a copy."""


class Step:
    """One upcaster in its place."""

    def __init__(self, event_type: str, version: int, function: Upcaster) -> None:
        if not callable(function):
            raise BadSchema(f"{shown(function)} is no upcaster; give a function that takes a payload and returns one")
        self.event_type, self.version, self.function = event_type, version, function

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __str__(self) -> str:
        return f"upcaster '{self.name}' of {self.event_type} {self.version} → {self.version + 1}"

    def __call__(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of the next version, or BadEvent that names this upcaster."""
        try:
            made = self.function(thaw(payload))
        except Exception as problem:
            said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
            raise BadEvent(
                f"{self} failed on {shown(thaw(payload))} ({said}); make it take what is stored"
            ) from problem
        if not isinstance(made, Mapping):
            raise BadEvent(f"{self} gave {shown(made)}; it must return the payload of version {self.version + 1}")
        plain: dict[str, Any] = thaw(freeze(made))
        return plain
