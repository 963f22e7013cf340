"""Known-bad sagas: each breaks one rule of the machine, of its participants or of its part, and a test notices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import test_saga
import test_saga_part

from evsim.patterns import participant as participants
from evsim.patterns import saga
from evsim.sim.saga import LiveSaga
from evsim.store import Sagas


def forgets_late_successes(patch):
    """What comes after the saga has turned is not listened to."""
    original = saga.is_news
    patch.setattr(saga, "is_news", lambda leg, turned, undo, said, tried: not (
        turned and not undo and said == "done" and leg.phase in {"undoing", "undone", "stuck"}
    ) and original(leg, turned, undo, said, tried))  # fmt: skip
    return test_saga.test_a_late_success_is_undone


def takes_silence_for_no(patch):
    """A step that never answered is taken for one that was not done."""
    original = saga.moved

    def broken(leg, what, turned, step):
        after = original(leg, what, turned, step)
        return replace(after, phase="failed") if what == "step.given_up" else after

    patch.setattr(saga, "moved", broken)
    return test_saga.test_after_a_timeout_nobody_knows_so_the_step_is_asked_again_and_then_undone


def undoes_oldest_first(patch):
    """What was done first is undone first."""
    patch.setattr(saga, "reversed", iter, raising=False)
    return test_saga.test_a_refusal_undoes_what_was_done_newest_first


def turns_back_behind_the_pivot(patch):
    """There is no point of no return."""
    original = saga.Plan._step_forward
    patch.setattr(saga.Plan, "_step_forward", lambda self, leg, number, passed: original(self, leg, number, False))
    return test_saga.test_behind_the_pivot_nobody_turns_back


def retries_refusals(patch):
    """A business no is taken for an accident."""
    original = saga.moved
    patch.setattr(saga, "moved", lambda leg, what, turned, step: original(
        leg, "step.failed" if what == "step.refused" else what, turned, step))  # fmt: skip
    return test_saga.test_a_refusal_is_final_and_a_failure_is_tried_again


def gives_up_in_silence(patch):
    """A compensation that fails for good is told to nobody."""
    original = saga.Plan._sends
    patch.setattr(saga.Plan, "_sends", lambda self, state, fact, told: (
        send for send in original(self, state, fact, told) if not send.manual))  # fmt: skip
    return test_saga.test_a_compensation_that_fails_is_retried_and_then_left_to_a_human


def starts_all_at_once(patch):
    """No step waits for the one before it."""
    places = property(lambda self: (tuple(range(len(self.flat))),))
    patch.setattr(saga.Plan, "places", places)
    return test_saga.test_parallel_steps_are_asked_at_once_and_undone_at_once


def does_it_again(patch):
    """A participant that is asked twice does it twice."""
    original = participants.participant

    def broken(step, **how):
        handlers = original(step, **how)
        do = handlers[step.do]

        def forgetful(event, ctx):
            ctx.state.pop(f"{step.do}/{event.key}", None)
            do(event, ctx)

        return {**handlers, step.do: forgetful}

    patch.setattr(test_saga, "participant", broken)
    return test_saga.test_a_lost_answer_is_given_again_to_who_asks_again


def comes_back_without_alarms(patch):
    """After a crash no timer is set again."""
    patch.setattr(LiveSaga, "restarted", lambda self: None)
    return test_saga_part.test_a_crash_forgets_alarms_and_the_disk_remembers_them


def keeps_its_state_in_mind(patch):
    """What was decided is not written down."""

    def in_mind(self, key, decision, cause, at_s):
        self._known[key] = decision.state, -1

    patch.setattr(Sagas, "keep", in_mind)
    return lambda: test_saga_part.test_the_orchestrator_goes_on_after_a_crash_at_any_step("saved", 3)


def rings_only_once(patch):
    """An alarm that is lost is lost."""
    original, rings = LiveSaga._ring, LiveSaga._set

    def once(self, alarm):
        self._set = lambda at_s, alarm: None
        original(self, alarm)
        self._set = rings.__get__(self)

    patch.setattr(LiveSaga, "_ring", once)
    return test_saga_part.test_what_is_lost_on_the_way_is_asked_again


MUTANTS = [
    forgets_late_successes, takes_silence_for_no, undoes_oldest_first, turns_back_behind_the_pivot, retries_refusals,
    gives_up_in_silence, starts_all_at_once, does_it_again, comes_back_without_alarms, keeps_its_state_in_mind,
    rings_only_once,
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_mutant_is_noticed(mutant, monkeypatch):
    notices = mutant(monkeypatch)
    with pytest.raises((AssertionError, IndexError, AttributeError)):
        notices()
