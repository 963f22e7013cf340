"""Data synchronisation: copies come to say what the source says, in any weather; naive ones do not."""

from __future__ import annotations

import pytest
from histories import script
from hypothesis import given, settings
from hypothesis import strategies as st
from test_figures import assert_tidy

import evsim as ev
from evsim import UnknownName, catalog
from evsim.lab.sync_steps import SOURCE, copied
from evsim.lab.syncing import COPIES, EVERY_NIGHT, in_step
from evsim.view.divergence import divergence

SYNC = catalog.get("sync")
EFFECTS = {copy: copied(copy) for copy in COPIES}
STEPS = ("delivered", "handled", "saved", "sent", "acked")


def states(scenario, seed=7, until_s=150):
    return [verdict.state for verdict in scenario.run(until_s=until_s, seed=seed).check(*map(in_step, COPIES))]


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["crm", "search", "billing", "mailing", "fan"]), st.sampled_from(STEPS), st.integers(1, 60),
    st.floats(0.1, 8), st.integers(1, 99),
)  # fmt: skip
def test_by_version_every_copy_comes_to_say_what_the_source_says(part, step, nth, down_s, seed):
    assert states(SYNC.plus(ev.Crash(part, after=step, nth=nth, down_s=down_s)), seed) == ["ok"] * 3


def test_by_arrival_changes_that_overtake_each_other_leave_wrong_rows():
    naive = catalog.get("sync-by-arrival")
    broken = [seed for seed in range(1, 21) if "VIOLATED" in states(naive, seed)]
    assert broken
    found = naive.search(in_step("billing"), budget=200, until_s=120, progress=False)
    assert found.verdict.state == "VIOLATED"
    assert all(states(SYNC, seed) == ["ok"] * 3 for seed in broken)


AWAY = SYNC.plus(ev.Crash("mailing", at_s=15, down_s=60))


def test_who_is_away_for_longer_than_a_tombstone_lives_keeps_deleted_rows_for_ever():
    assert states(AWAY) == ["ok", "ok", "VIOLATED"]
    patient = AWAY.replace("changes", delete_retention_s=120)
    assert states(patient) == ["ok"] * 3


def test_a_reconciliation_finds_and_mends_what_was_lost_and_the_next_one_finds_nothing():
    run = AWAY.plus(EVERY_NIGHT).run(until_s=150, seed=7)
    assert [verdict.state for verdict in run.check(*map(in_step, COPIES))] == ["ok"] * 3
    notes = [note for note in run.history.notes if note.get("part") == "mailing"]
    assert notes[-1]["differences"] == 0
    before = divergence(run.history, SOURCE, copied("mailing"))
    assert before.most > 5
    assert before.left == 0


def test_divergence_is_counted_row_by_row():
    history = script("")
    for time, place, key, version in [
        (1.0, "source", "a", 1), (2.0, "source", "b", 1), (3.0, "copy", "a", 1), (4.0, "source", "a", 2),
        (4.0, "copy", "a", 2), (5.0, "source", "b", None), (6.0, "copy", "b", 1), (7.0, "copy", "b", None),
    ]:  # fmt: skip
        note = history.note(key=key, version=version)
        history.record(time, history.code("effect", place, place), -1, note)
    found = divergence(history, "source", "copy")
    assert list(zip(found.time.tolist(), found.rows.tolist(), strict=True)) == [
        (0.0, 0), (1.0, 1), (2.0, 2), (3.0, 1), (4.0, 1), (5.0, 0), (6.0, 1), (7.0, 0)
    ]  # fmt: skip
    assert found.most == 2
    assert found.total(10.0) == 6.0
    with pytest.raises(UnknownName, match="did you mean 'copy'"):
        divergence(history, "source", "cpy")


def test_the_picture_says_who_is_left_behind():
    run = AWAY.run(until_s=150, seed=7)
    figure = run.divergence(SOURCE, EFFECTS)
    assert figure.claim.startswith("Mailing still differs in")
    assert figure.png("light") != figure.png("dark")
    assert_tidy(figure, "dark")
    assert SYNC.run(until_s=150, seed=7).divergence(SOURCE, EFFECTS).claim == "In the end every copy is like its source"


def test_it_goes_into_a_file_and_back():
    assert ev.Scenario.from_yaml(SYNC.to_yaml()) == SYNC
