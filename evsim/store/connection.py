"""A connection to a SQLite file: opened with care, with transactions that nothing leaves open, and plain refusals."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from evsim.errors import BadFile, EvsimError

WAIT_S = 30.0
"""So long a writer waits for another one."""
Done = TypeVar("Done")


def connected(path: str | Path) -> sqlite3.Connection:
    """A connection to this file, which is made if it is not there; BadFile when it cannot be opened."""
    try:
        return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    except sqlite3.Error as problem:
        raise BadFile(f"{path} cannot be opened ({problem}); give a file in a folder that is there") from None


def use_wal(db: sqlite3.Connection) -> None:
    """Let readers and a writer work at once. Who switches needs the file for a moment, and SQLite does not wait."""
    until = time.monotonic() + WAIT_S
    while db.execute("pragma journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


def alone(db: sqlite3.Connection, act: Callable[[], Done]) -> Done:
    """Do something in a transaction in which nobody else can write: all of it, or nothing when anything is raised.

    It is not a context manager, because an interrupt between its beginning and the body would leave it open.
    """
    end_left_over(db)
    try:
        db.execute("begin immediate")
        done = act()
        db.execute("commit")
    except BaseException:
        end_left_over(db)
        raise
    return done


def end_left_over(db: sqlite3.Connection) -> None:
    """Take back a transaction that is open, as a second interrupt may have left it."""
    if db.in_transaction:
        db.execute("rollback")


def refusal(problem: Exception, path: str | Path) -> EvsimError:
    """What SQLite says, in a sentence for the reader."""
    said = str(problem)
    for word, sentence in _SENTENCES.items():
        if word in said:
            return EvsimError(sentence.format(path=path))
    return BadFile(f"{path} is damaged or cannot be used ({said}); take the newest copy that verify() finds whole")


_SENTENCES = {
    "locked": "{path} is locked by another program for more than "
    f"{WAIT_S:g} s; nothing was written, let that one finish and try again",
    "full": "there is no room left for {path}; nothing was written, make room and append again",
    "readonly": "{path} may be read and not written; nothing was written, give a file that you may write",
    "unable to open": "{path} is not there any more, or may not be opened; open the store again",
    "closed": "the store in {path} is closed; open it again",
    "thread": "the store in {path} belongs to the thread that has opened it; open one in each thread",
}
