"""What an exercise is: a promise to keep, a judge who looks for evidence, and an outcome in one of four states."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from evsim.classroom.watch import TooLong, Watch, no_longer_than, printing_little, where
from evsim.errors import BadExercise, a_or_an

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

State = Literal["not started", "broken", "unproved", "held"]
MARKS: dict[State, str] = {"not started": "…", "broken": "✗", "unproved": "?", "held": "✓"}


@dataclass(frozen=True, repr=False)
class Outcome:
    """What came of looking at an answer. ``repr`` is the text that the student reads, the same at every look."""

    state: State
    id: str = ""
    says: str = ""
    saw: str = ""
    look: str = ""
    ask: str = ""

    def __repr__(self) -> str:
        lines = [f"{MARKS[self.state]}  {self.id}  {self.says}".rstrip()]
        for word, text in (("saw", self.saw), ("look", self.look), ("ask", self.ask)):
            if text:
                lines.append(f"   {word:<5} {text}".replace("\n", "\n         "))
        return "\n".join(lines)


def held(over: str, ask: str = "Why does it hold? Write one sentence below.") -> Outcome:
    """The promise held ``over`` what was tried: ``held("for 200 seeds")``."""
    return Outcome("held", says=f"held {over}.  {ask}".rstrip())


def broken(saw: str, look: str = "", ask: str = "") -> Outcome:
    """The promise broke: ``saw`` is evidence from the student's run, ``look`` a command to run, ``ask`` a question."""
    return Outcome("broken", saw=saw, look=look, ask=ask)


def unproved(because: str, hint: str = "") -> Outcome:
    """Nothing happened that could break the promise: ``unproved("no crash happened in this run", "try seed=7")``."""
    return Outcome("unproved", says=f"{because}, so nothing was proved" + (f" — {hint}" if hint else ""))


@dataclass(frozen=True)
class Exercise:
    """A promise that a student keeps, and the judge who looks at the answer.

    ``signature`` is what the student writes: ``"my_handler(event, ctx)"`` for a function, ``"my_seed"`` for a value.
    ``judge(answer)`` says ``held(...)``, ``broken(...)`` or ``unproved(...)``; it may call the answer as it likes, for
    what the answer raises, prints or never finishes is dealt with here. An answer that raises is broken, unless
    ``may_raise`` says that raising belongs to the exercise.
    """

    id: str
    title: str
    promise: str
    signature: str
    judge: Callable[[Any], Outcome] = field(repr=False)
    may_raise: bool = False
    limit_s: float = 20.0
    """Wall-clock seconds after which an answer is said to hang; far more than any judge needs."""

    @property
    def name(self) -> str:
        """The name that the student defines."""
        return self.signature.partition("(")[0]

    def check(self, answer: Any) -> Outcome:
        """Look at the answer; whatever it does, the student reads an outcome and never a traceback."""
        if answer is None or answer is ...:
            return self._not_started()
        misfit = self._misfit(answer)
        if misfit:
            return self._signed(misfit)
        watch = Watch()
        try:
            with no_longer_than(self.limit_s), printing_little():
                outcome = self.judge(watch.over(answer) if callable(answer) else answer)
        except TooLong:
            outcome = self._hangs()
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a student writes, we answer in words
            watch.note(problem)
            outcome = self._raised(watch.first or problem)
        else:
            if watch.first and not self.may_raise:
                outcome = self._raised(watch.first)
        if not isinstance(outcome, Outcome):
            raise BadExercise(f"the judge of {self.id} gave {outcome!r}, not held(…), broken(…) or unproved(…)")
        return self._not_started() if watch.unwritten else self._signed(outcome)

    def _signed(self, outcome: Outcome) -> Outcome:
        return Outcome(outcome.state, self.id, outcome.says or self.promise, outcome.saw, outcome.look, outcome.ask)

    def _not_started(self) -> Outcome:
        act = f"write {self.name}" if "(" in self.signature else f"give {self.name} a value"
        return Outcome("not started", self.id, f"not started yet — {act} above, then run this cell again")

    def _misfit(self, answer: Any) -> Outcome | None:
        """The answer is not of the kind that the signature names."""
        expected = self.signature.partition("(")[2].rstrip(")")
        if "(" not in self.signature:
            return None
        if not callable(answer):
            saw = f"{a_or_an(type(answer).__name__)} where the function {self.signature} was expected"
            return broken(saw, ask=f"did you pass {self.name}(…), the result, where {self.name} itself was meant?")
        arguments = [argument for argument in expected.split(",") if argument.strip()]
        try:
            inspect.signature(answer).bind(*arguments)
        except TypeError:
            saw = f"{self.name}{inspect.signature(answer)} where {self.signature} was expected"
            return broken(saw, ask="which arguments does the text of the exercise give?")
        except ValueError:  # a callable of C that does not know its signature
            return None
        return None

    def _hangs(self) -> Outcome:
        saw = f"{self.name} had not finished when we stopped waiting"
        return broken(saw, ask="is there a loop that never ends, or an event that answers itself?")

    def _raised(self, problem: BaseException) -> Outcome:
        place = where(problem)
        said = _ADDRESS.sub("", f"{type(problem).__name__}: {problem}".rstrip(": "))
        if place is None:
            saw = f"we could not use what {self.name} gave: {said}"
            return broken(saw, ask=f"what should {self.signature} give back?")
        return broken(f"{said}, in line {place.line}: {place.text}", ask=f"what did {self.name} expect to find there?")
