"""The few ways in which evsim says no.

::

    EvsimError
     ├── BadEvent       (ValueError)    an event that cannot be: field, value, fix
     ├── BadSchema      (ValueError)    a version of a payload that cannot be taken: reason, failing example, fix
     ├── BadScenario    (ValueError)    a part or scenario that cannot run, known before it runs
     ├── BadFile        (ValueError)    a file that is cut short, damaged or foreign
     ├── BadToken       (ValueError)    a token that names no run
     ├── UnknownName    (LookupError)   a name that nothing has, with the one probably meant
     ├── HandlerFailed                  a handler raised: which one, on which event
     └── BadExercise                    an exercise that cannot be checked

Every message is one sentence: what was given, what was expected, and the likely fix.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VALUE_SHOWN = 60
"""Longer values are cut in a sentence."""

KNOWN_SHOWN = 12
"""So many known names are listed when none is near to the one given."""


class EvsimError(Exception):
    """Every error that evsim raises on purpose; its text is a sentence for the reader."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback: the sentence."""
        return [str(self)]


class BadEvent(EvsimError, ValueError):
    """An event was refused: the sentence names the field, the value and the fix."""


class BadSchema(EvsimError, ValueError):
    """A version of a schema, or an upcaster, was refused; the registry is as it was."""


class BadScenario(EvsimError, ValueError):
    """A part or a scenario was refused before anything ran."""


class BadFile(EvsimError, ValueError):
    """A file is not what it should be; nothing of it was taken."""


class BadToken(EvsimError, ValueError):
    """A token does not name a run that can be replayed."""


class UnknownName(EvsimError, LookupError):
    """Nothing has this name."""


class HandlerFailed(EvsimError):
    """A handler raised while it handled an event."""


class BadExercise(EvsimError):
    """An exercise is written so that it cannot be checked."""


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or else the list of them.

    >>> did_you_mean("order", ["orders", "mail"])
    " — did you mean 'orders'?"
    """
    names = list(dict.fromkeys(known))
    lower = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(str(given)[:100].lower(), lower, n=1)
    if near:
        return f" — did you mean '{lower[near[0]]}'?"
    if not names:
        return ""
    more = f" and {len(names) - KNOWN_SHOWN} more" if len(names) > KNOWN_SHOWN else ""
    return f"; known: {', '.join(names[:KNOWN_SHOWN])}{more}"


def a_or_an(noun: str) -> str:
    """A noun with its article, and without underscores.

    >>> a_or_an("exchange"), a_or_an("event_store"), a_or_an("log")
    ('an exchange', 'an event store', 'a log')
    """
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun.replace('_', ' ')}"


def shown(value: object) -> str:
    """A value as a sentence may quote it: one line, not long, whatever it is."""
    try:
        text = " ".join(repr(value).splitlines())
    except Exception:  # noqa: BLE001 - a value that cannot even be shown is still to be refused politely
        text = f"a {type(value).__name__}"
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 1]}…"
