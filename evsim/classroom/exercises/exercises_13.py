"""Exercises of notebook 13: the outbox and its relay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held

ROWS, PROMISED_S, SHARE = 5, 0.8, 0.99


class _PowerCut(BaseException):
    """Nobody can catch it by accident."""


def _relay(relay: Callable[..., Any]) -> Outcome:
    for dies_at in range(2 * ROWS):
        rows = [{"id": n, "event": f"event {n}", "sent": n < dies_at % 3} for n in range(1, ROWS + 1)]
        waiting = [row["event"] for row in rows if not row["sent"]]
        out: list[Any] = []
        calls = 0

        def publish(event: Any, out: list[Any] = out, dies_at: int = dies_at) -> None:
            nonlocal calls
            if calls == dies_at:
                calls += 1
                if dies_at % 2:
                    out.append(event)
                raise _PowerCut
            calls += 1
            out.append(event)

        try:
            relay(rows, publish)
        except _PowerCut:
            relay(rows, publish)
        story = f"it died at row {dies_at + 1}, {'after' if dies_at % 2 else 'before'} it was sent; sent were {out}"
        lost = [event for event in waiting if event not in out]
        if lost:
            return broken(f"{lost[0]} was lost: {story}", ask="was its row marked before it was sent?")
        again = len(out) - len(waiting)
        if again > 1:
            return broken(f"{again} rows were sent again: {story}", ask="when is each row marked?")
        if list(dict.fromkeys(out)) != waiting:
            return broken(f"the order is not that of the rows: {story}", ask="which row comes first?")
        if not all(row["sent"] for row in rows):
            return broken(f"a row is not marked: {story}", ask="what happens at the next call?")
    return held(f"for {2 * ROWS} deaths")


def _poll(poll_s: Any) -> Outcome:
    if isinstance(poll_s, bool) or not isinstance(poll_s, int | float) or poll_s <= 0:
        return broken(f"my_poll_s = {poll_s!r}", ask="how many seconds are between two looks?")
    wait_s = SHARE * poll_s
    if wait_s > PROMISED_S:
        return broken(
            f"with {poll_s:g} s between two looks, one row of a hundred waits for more than {wait_s:.3g} s",
            f"sorted(lags({poll_s:g}, 1))[-6]",
            "how long does a row wait that has just missed a look?",
        )
    if poll_s < PROMISED_S - 0.1:
        return broken(
            f"every {poll_s:g} s is more often than needed: 99 of 100 wait for less than {wait_s:.3g} s",
            ask="how much longer may one wait?",
        )
    return held("for 99 rows of a hundred", "And what does the mean row wait?")


EXERCISES = (
    Exercise(
        "13.1", "A relay of your own", "no row is lost, at most one is sent again, and the order stays",
        "my_relay(rows, publish)", _relay,
    ),
    Exercise("13.2", "How often to look?", "99 of 100 rows wait for at most 0.8 s, with as few looks as may be",
             "my_poll_s", _poll),
)  # fmt: skip
