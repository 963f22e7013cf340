"""The classroom answers in four states, in the student's words; it shows no traceback, gives no answer away."""

import asyncio
import contextlib
import time

import pytest

import evsim.classroom.exercises
from evsim.classroom import Exercise, broken, held, unproved
from evsim.classroom.shelf import check, find, notebooks
from evsim.errors import BadExercise, UnknownName


def exercise(judge, **changes):
    facts = {"id": "03.2", "title": "Charge once", "promise": "at most one «card charged» per order"}
    return Exercise(**{**facts, "signature": "my_handler(event, ctx)", "judge": judge, **changes})


def handle_one(answer):
    answer("an event", "a context")
    return held("for 200 seeds")


def good(event, ctx):
    return event


class TestFourStates:
    @pytest.mark.parametrize("nothing", [None, ...])
    def test_nothing_given_is_not_started(self, nothing):
        expected = "…  03.2  not started yet — write my_handler above, then run this cell again"
        assert repr(exercise(handle_one).check(nothing)) == expected

    def test_a_stub_is_not_started(self):
        def stub(event, ctx):
            raise NotImplementedError

        assert exercise(handle_one).check(stub).state == "not started"

    def test_a_value_is_asked_for_as_a_value(self):
        said = repr(exercise(handle_one, signature="my_seed").check(...))
        assert said == "…  03.2  not started yet — give my_seed a value above, then run this cell again"

    def test_a_promise_that_held(self):
        expected = "✓  03.2  held for 200 seeds.  Why does it hold? Write one sentence below."
        assert repr(exercise(handle_one).check(good)) == expected

    def test_a_promise_that_broke_shows_evidence_a_command_and_a_question(self):
        def judge(answer):
            return broken("order-2 charged twice", 'run.story("order-2")', "which step had it not reached?")

        assert repr(exercise(judge).check(good)).splitlines() == [
            "✗  03.2  at most one «card charged» per order",
            "   saw   order-2 charged twice",
            '   look  run.story("order-2")',
            "   ask   which step had it not reached?",
        ]

    def test_a_run_without_evidence_proves_nothing(self):
        outcome = exercise(lambda answer: unproved("no crash happened in this run", "try seed=7")).check(good)
        assert repr(outcome) == "?  03.2  no crash happened in this run, so nothing was proved — try seed=7"


class TestNeverATraceback:
    def test_an_answer_that_raises_is_told_its_own_line(self):
        def clumsy(event, ctx):
            return event["amount"] + ctx

        outcome = exercise(handle_one).check(clumsy)
        assert outcome.state == "broken"
        line = clumsy.__code__.co_firstlineno + 1
        assert outcome.saw == (
            f"TypeError: string indices must be integers, not 'str', in line {line}: return event[\"amount\"] + ctx"
        )

    def test_the_line_is_the_students_even_when_a_library_raised(self):
        def clumsy(event, ctx):
            return find("99.9")

        outcome = exercise(handle_one).check(clumsy)
        assert outcome.saw.endswith('return find("99.9")')

    def test_an_exception_that_the_judge_did_not_see_still_counts(self):
        def forgiving(answer):
            try:
                answer("an event", "a context")
            except Exception:  # as a simulated consumer does: the failure becomes a record
                return held("for 200 seeds")

        def clumsy(event, ctx):
            return 1 / 0

        def stub(event, ctx):
            raise NotImplementedError

        assert exercise(forgiving).check(clumsy).state == "broken"
        assert exercise(forgiving).check(stub).state == "not started"
        assert exercise(forgiving, may_raise=True).check(clumsy).state == "held"

    def test_a_stub_behind_another_exception_is_not_started(self):
        def judge(model):
            try:
                model().total()
            except NotImplementedError as problem:
                raise RuntimeError("the handler failed") from problem

        class Model:
            def total(self):
                raise NotImplementedError

        assert exercise(judge, signature="Model()").check(Model).state == "not started"

    def test_an_answer_that_waits_is_watched_too(self):
        async def waiting(event, ctx):
            return 1 / 0

        def judge(answer):
            assert asyncio.iscoroutinefunction(answer)
            asyncio.run(answer("an event", "a context"))

        assert "ZeroDivisionError" in exercise(judge).check(waiting).saw

    def test_an_answer_that_is_a_process_is_watched_too(self):
        def process(event, ctx):
            yield 1
            raise NotImplementedError

        assert exercise(lambda answer: list(answer(1, 2))).check(process).state == "not started"

    def test_what_the_judge_cannot_use_is_said_without_a_line(self):
        outcome = exercise(lambda answer: answer(1, 2)["amount"]).check(lambda event, ctx: None)
        assert "TypeError: 'NoneType' object is not subscriptable" in outcome.saw

    def test_leaving_python_is_no_way_out(self):
        def leaving(event, ctx):
            raise SystemExit

        assert exercise(handle_one).check(leaving).state == "broken"

    def test_an_answer_of_the_wrong_kind_or_shape_is_not_even_tried(self):
        def untouched(answer):
            raise AssertionError

        assert "a str where the function my_handler(event, ctx)" in exercise(untouched).check("twice").saw
        assert exercise(untouched).check(lambda event: None).saw.startswith("my_handler(event) where")

    def test_no_address_of_memory_is_shown(self):
        def clumsy(event, ctx):
            raise ValueError(object())

        assert " at 0x" not in exercise(handle_one).check(clumsy).saw


class TestAnEndInTime:
    def test_an_endless_loop_is_stopped(self):
        def endless(event, ctx):
            while True:
                with contextlib.suppress(Exception):
                    event += ""

        start = time.monotonic()
        outcome = exercise(handle_one, limit_s=0.1).check(endless)
        assert time.monotonic() - start < 5
        assert "had not finished" in outcome.saw

    def test_nothing_is_raised_later(self):
        assert exercise(handle_one, limit_s=0.05).check(good).state == "held"
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass

    def test_only_the_first_prints_are_shown(self, capsys):
        def chatty(event, ctx):
            for n in range(1000):
                print("event", n)

        exercise(handle_one).check(chatty)
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == 21
        assert shown[-1] == "… and more, not shown"


class TestTheShelf:
    @pytest.fixture
    def shelf(self, tmp_path, monkeypatch):
        """A shelf with the exercises of one notebook, 77."""
        (tmp_path / "exercises_77.py").write_text(
            "from evsim.classroom import Exercise, held\n"
            "EXERCISES = (Exercise('77.1', 'T', 'p', 'my_seed', lambda answer: held('once')),)\n"
        )
        monkeypatch.setattr(evsim.classroom.exercises, "__path__", [str(tmp_path)])

    @pytest.mark.usefixtures("shelf")
    def test_an_exercise_is_found_by_its_id(self):
        assert notebooks() == ["77"]
        assert check("77.1").state == "not started"
        assert check("77.1", 5).state == "held"

    @pytest.mark.usefixtures("shelf")
    @pytest.mark.parametrize("wrong", ["77.2", "771", "", "../x", 77])
    def test_an_unknown_id_is_answered_with_the_one_meant(self, wrong):
        with pytest.raises(UnknownName, match=r"77\.1"):
            check(wrong)

    def test_every_exercise_of_the_course_is_whole(self):
        for notebook in notebooks():
            for one in evsim.classroom.shelf._of(notebook):
                assert one.id.startswith(f"{notebook}.")
                assert check(one.id).state == "not started"

    def test_a_judge_without_an_outcome_is_our_fault(self):
        with pytest.raises(BadExercise, match=r"the judge of 03\.2"):
            exercise(lambda answer: True).check(good)
