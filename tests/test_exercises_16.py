"""The judges of notebook 16 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import evsim as ev
from evsim import classroom
from evsim.classroom import notebooks
from evsim.patterns.retry import Backoff, Retry

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "16-event-sourcing-conflicts-and-snapshots.ipynb"


def in_the_notebook(name, **answers):
    """What a student has at hand: the cell that defines this name, without its pictures and unwritten answers."""
    sources = [cell["source"] for cell in notebooks.read(NOTEBOOK)["cells"] if cell["cell_type"] == "code"]
    cell = ast.parse(next(source for source in sources if f"def {name}(" in source))
    cell.body = [line for line in cell.body if not (isinstance(line, ast.Expr) and "ev.lines" in ast.unparse(line))]
    world = {"ev": ev}
    exec(compile(cell, str(NOTEBOOK), "exec"), world)
    return world | answers


def looked(outcome, world):
    """What the command shows that a verdict proposes."""
    return eval(outcome.look, world)


@pytest.mark.parametrize(
    ("every", "state", "saw"),
    [
        (11, "held", ""),
        (8, "held", ""),
        (16, "held", ""),
        (1, "broken", "for writing"),
        (100, "broken", "for loading"),
        (0, "broken", "my_interval = 0"),
        (9.5, "broken", "my_interval = 9.5"),
    ],
)
def test_an_interval_is_judged_by_its_cost(every, state, saw):
    outcome = classroom.check("16.1", every)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


@pytest.mark.parametrize(
    ("retry", "state", "saw"),
    [
        (Retry(100, Backoff(0.5, 1, 1.0)), "held", ""),
        (Retry(1000, Backoff(0.2, 2, 1.0)), "held", ""),
        (Retry(1000, Backoff(0.0, 1, 0.0, "none")), "broken", "210 attempts"),
        (Retry(1000, Backoff(0.05, 2, 1.0)), "broken", "attempts on average"),
        (Retry(1000, Backoff(4.0, 1, 4.0)), "broken", "the last machine was done after"),
        (Retry(1000, Backoff(0.05, 2, 1.0, "none")), "broken", "the last machine was done after"),
        (Retry(2, Backoff(0.5, 1, 1.0)), "broken", "of 20 withdrawals were stored"),
        (0.5, "broken", "my_retry = 0.5"),
    ],
    ids=["spread", "doubling with jitter", "at once", "too narrow", "too wide", "no jitter", "too few", "no policy"],
)
def test_a_retry_is_judged_by_its_attempts_and_its_time(retry, state, saw):
    outcome = classroom.check("16.2", retry)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


@pytest.mark.parametrize(
    ("retry", "shown"),
    [
        (Retry(3, Backoff(0.5)), "tried"),
        (Retry(1000, Backoff(4.0, 1, 4.0)), "stored"),
    ],
    ids=["too few", "too wide"],
)
def test_the_story_of_the_withdrawal_is_the_one_that_the_verdict_saw(retry, shown):
    outcome = classroom.check("16.2", retry)
    story = looked(outcome, in_the_notebook("rush", my_retry=retry))
    if shown == "stored":
        took_s = float(outcome.saw.partition("after ")[2].partition(" s")[0])
        [line] = [line for line in story.splitlines() if "store stored machines:" in line]
        assert float(line.split()[0]) - 10 == pytest.approx(took_s, abs=0.006)
        assert took_s > 2.5
    else:
        assert story.count("tried") == 2
        assert "store stored machines:" not in story


def test_the_attempts_that_are_shown_have_the_mean_that_the_verdict_saw():
    retry = Retry(1000, Backoff(0.05, 2, 1.0))
    outcome = classroom.check("16.2", retry)
    tried = looked(outcome, in_the_notebook("rush", my_retry=retry))
    assert outcome.saw.startswith(f"{sum(tried) / len(tried):.0f} attempts on average")


CODE, START, FEE = 2, 1000, 1


def _replayed(balance, events):
    return balance - sum(event.data["amount"] + FEE for event in events)


def right(read, snapshot):
    if snapshot is None or snapshot["code"] != CODE:
        return _replayed(START, read(0))
    return _replayed(snapshot["balance"], read(snapshot["upto"] + 1))


def credulous(read, snapshot):
    return _replayed(START, read(0)) if snapshot is None else _replayed(snapshot["balance"], read(snapshot["upto"] + 1))


@pytest.mark.parametrize(
    ("load", "state", "saw"),
    [
        (right, "held", ""),
        (credulous, "broken", "'code': 1"),
        (lambda read, snapshot: _replayed(START, read(0)), "broken", "would do"),
        (lambda read, snapshot: _replayed(snapshot["balance"], read(snapshot["upto"])) if snapshot else
            _replayed(START, read(0)), "broken", "the balance is"),
    ],
    ids=["right", "believes old snapshots", "reads everything", "counts one twice"],
)  # fmt: skip
def test_a_load_is_judged_by_its_balance_and_by_what_it_reads(load, state, saw):
    outcome = classroom.check("16.3", load)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


def test_the_load_that_a_verdict_proposes_can_be_tried_in_the_notebook(capsys):
    for load in (credulous, lambda read, snapshot: _replayed(START, read(0)), lambda read, snapshot: 0):
        outcome = classroom.check("16.3", load)
        answer = looked(outcome, in_the_notebook("read", my_load=load))
        printed = capsys.readouterr().out
        assert f"the balance is {answer}, and" in outcome.saw or printed.partition(" ")[0] in outcome.saw
