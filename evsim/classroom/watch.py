"""Watching an answer at work: what it raised, in which of the student's lines, and whether it ever ends."""

from __future__ import annotations

import ctypes
import functools
import inspect
import io
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from evsim.patterns.handler import Unavailable

_LIBRARIES = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
_NOT_OWN = tuple(f"{place}{os.sep}" for place in (Path(__file__).parents[1], *_LIBRARIES))
_ASK_AGAIN_S = 0.5


class TooLong(BaseException):
    """The answer was still at work when its time was over. No Exception, so that ``except Exception`` lets it pass."""


class Line(NamedTuple):
    """One line that the student wrote."""

    line: int
    text: str


class Watch:
    """Remembers the first exception of an answer, even when the simulator turns it into a record."""

    def __init__(self) -> None:
        self.first: BaseException | None = None
        self.unwritten = False

    def over(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """The same answer, watched. Classes and objects pass as they are: judges need to see their attributes."""
        if inspect.iscoroutinefunction(answer):
            return self._over_coroutine(answer)
        if inspect.isgeneratorfunction(answer):
            return self._over_generator(answer)
        if not inspect.isroutine(answer):
            return answer

        @functools.wraps(answer)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._noting():
                return answer(*args, **kwargs)

        return watched

    def _over_coroutine(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(answer)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            with self._noting():
                return await answer(*args, **kwargs)

        return watched

    def _over_generator(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(answer)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._noting():
                return (yield from answer(*args, **kwargs))

        return watched

    def note(self, problem: BaseException) -> None:
        """Remember what was raised, and whether a stub raised it."""
        self.first = self.first or problem
        link: BaseException | None = problem
        while link is not None:
            self.unwritten |= isinstance(link, NotImplementedError)
            link = link.__cause__

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Unavailable:
            raise  # the world's doing, not the answer's: whoever handles it tries again
        except Exception as problem:
            self.note(problem)
            raise


def where(problem: BaseException) -> Line | None:
    """The last line of the student's own that the exception passed, or None when it passed none."""
    for frame in reversed(traceback.extract_tb(problem.__traceback__)):
        if frame.line and frame.lineno and not frame.filename.startswith(_NOT_OWN):
            return Line(frame.lineno, frame.line)
    return None


@contextmanager
def no_longer_than(limit_s: float) -> Iterator[None]:
    """Raise TooLong inside the block once ``limit_s`` wall-clock seconds are over, and again until it gives in."""
    thread, over, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def nag() -> None:
        wait_s = limit_s
        while not over.wait(wait_s):
            with lock:
                if not over.is_set():
                    _raise_in(thread, TooLong)
            wait_s = _ASK_AGAIN_S

    threading.Thread(target=nag, daemon=True).start()
    try:
        yield
    finally:
        try:
            with lock:
                over.set()
                _raise_in(thread, None)
        finally:
            over.set()  # should TooLong arrive in the line above


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise in another thread, or take back what was not raised yet."""
    if sys.implementation.name == "cpython":
        raised = None if kind is None else ctypes.py_object(kind)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


class _FirstLines(io.TextIOBase):
    """Lets the first lines through: an answer that prints is called thousands of times."""

    def __init__(self, out: Any, lines: int) -> None:
        self.out, self.left = out, lines

    def write(self, text: str) -> int:
        if self.left > 0:
            self.left -= text.count("\n")
            self.out.write(text)
            if self.left <= 0:
                self.out.write("… and more, not shown\n")
        return len(text)


@contextmanager
def printing_little(lines: int = 20) -> Iterator[None]:
    """Show the first lines that are printed inside the block, and drop the rest."""
    with redirect_stdout(_FirstLines(sys.stdout, lines)):
        yield
