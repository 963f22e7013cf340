"""Where the exercises stand: found by their id, read from the shelf only when asked for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from evsim.classroom import exercises
from evsim.classroom.exercise import Exercise, Outcome
from evsim.errors import UnknownName, did_you_mean


def check(id_: str, answer: Any = ...) -> Outcome:
    """Look at the answer to an exercise: ``ev.classroom.check("03.2", my_handler)``."""
    return find(id_).check(answer)


def find(id_: str) -> Exercise:
    """The exercise with this id: the two digits of its notebook, a dot, a number."""
    for exercise in _of(str(id_).partition(".")[0]):
        if exercise.id == id_:
            return exercise
    known = [exercise.id for notebook in notebooks() for exercise in _of(notebook)]
    raise UnknownName(f"no exercise has the id {id_!r}{did_you_mean(str(id_), known)}")


def notebooks() -> list[str]:
    """The two digits of every notebook that has exercises."""
    names = (module.name for module in pkgutil.iter_modules(exercises.__path__))
    return sorted(name.removeprefix("exercises_") for name in names if name.startswith("exercises_"))


def _of(notebook: str) -> tuple[Exercise, ...]:
    if notebook not in notebooks():
        return ()
    return tuple(importlib.import_module(f"{exercises.__name__}.exercises_{notebook}").EXERCISES)
