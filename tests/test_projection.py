"""A projection takes each event once, however often it comes, and can be thrown away at any time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import Event, store
from evsim.errors import BadEvent, BadScenario
from evsim.patterns.projection import BlueGreen, Projection, ReadModel, Step, catch_up


def placed(number, amount=1, customer="ada"):
    return Event(f"order.{number}", "order.placed", float(number), "shop", {"amount": amount}, key=customer)


def add(totals, event):
    return {**totals, event.key: totals.get(event.key, 0) + event.data["amount"]}


TOTALS = Projection("totals", {}, on={"order.placed": add})


def shop(count=10):
    kept = store.open()
    for number in range(1, count + 1):
        kept.append(f"order-{number}", placed(number, number))
    return kept


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 8), max_size=40))
def test_what_comes_again_changes_nothing(cuts):
    """Deliveries that begin again at any earlier position lead to the same view."""
    events = [(n, placed(n, n)) for n in range(1, 9)]
    view = TOTALS.empty
    for cut in cuts:
        begin = min(cut, view.checkpoint + 1)
        view = TOTALS.over(events[begin - 1 : cut], view)
        assert view == TOTALS.over(events[: view.checkpoint])


def test_types_that_it_does_not_know_move_the_checkpoint_only():
    view = TOTALS.next(TOTALS.empty, 3, Event("x.1", "order.paid", 0.0, "shop", {}))
    assert view == ({}, 3)


def test_a_rebuild_tells_its_progress_and_finds_the_same():
    kept, steps = shop(10), []
    model = ReadModel(TOTALS)
    assert catch_up(model, kept, batch=4, progress=steps.append) == 10
    assert steps == [Step(4, 4, 10), Step(8, 8, 10), Step(10, 10, 10)]
    assert [step.share for step in steps] == [0.4, 0.8, 1.0]
    assert model.state == {"ada": 55}
    assert catch_up(model, kept) == 0


def test_blue_and_green_swap_only_when_the_new_one_has_caught_up():
    kept = shop(10)
    blue = ReadModel(TOTALS)
    catch_up(blue, kept)
    count = Projection("totals", {}, {"order.placed": lambda s, e: {**s, e.key: s.get(e.key, 0) + 1}}, version=2)
    both = BlueGreen(blue, ReadModel(count), kept)
    both.follow(batch=4)
    with pytest.raises(BadScenario, match="6 positions behind"):
        both.swap()
    assert both.live is blue
    kept.append("order-11", placed(11))
    while both.behind:
        both.follow(batch=4)
    assert both.swap().state == {"ada": 11}
    assert both.spare is blue


def test_what_is_hidden_in_the_store_does_not_stop_it():
    kept = shop(5)
    kept.delete("order-5")
    model, steps = ReadModel(TOTALS), []
    catch_up(model, kept, progress=steps.append)
    assert model.state == {"ada": 10}
    assert (model.checkpoint, steps[-1].share) == (5, 1.0)


def test_the_new_one_catches_up_though_the_last_event_of_the_old_one_was_hidden_since():
    kept = shop(5)
    blue, green = ReadModel(TOTALS), ReadModel(TOTALS)
    catch_up(blue, kept)
    kept.delete("order-5")
    both = BlueGreen(blue, green, kept)
    both.follow(batch=4)
    assert both.behind == 1
    both.follow(batch=4)
    assert both.swap() is green


class Busy:
    """A source in which an event is written just after nobody has found one."""

    def __init__(self, kept, late):
        self.kept, self.late = kept, late

    @property
    def position(self):
        return self.kept.position

    def read_all(self, start=None, limit=None):
        found = list(self.kept.read_all(start, limit))
        if not found and self.late:
            self.kept.append("late", self.late.pop())
        return found


def test_what_is_written_while_nothing_is_found_is_taken_too():
    kept = shop(5)
    kept.delete("order-5")
    model = ReadModel(TOTALS)
    assert catch_up(model, Busy(kept, [placed(6, 100)])) == 5
    assert (model.state, model.checkpoint) == ({"ada": 110}, 6)


@pytest.mark.parametrize("position", [0, -1, True, "3"])
def test_a_bad_position_is_refused(position):
    with pytest.raises(BadEvent, match="no position"):
        TOTALS.next(TOTALS.empty, position, placed(1))


def test_wishes_are_not_projected():
    with pytest.raises(BadScenario, match="a wish"):
        Projection("totals", {}, {"place.order": add})


@pytest.mark.parametrize("batch", [0, -1, 2.5, True, "3", None])
def test_a_batch_is_a_number_of_events(batch):
    model, kept = ReadModel(TOTALS), shop(1)
    with pytest.raises(BadScenario, match="batch="):
        catch_up(model, kept, batch=batch)
    with pytest.raises(BadScenario, match="batch="):
        BlueGreen(model, model, kept).follow(batch=batch)
    assert model.checkpoint == 0


@pytest.mark.parametrize(
    ("on", "word"),
    [
        (None, "on=None; expected functions"),
        ({"order.placed": 3}, "cannot apply 3 to 'order.placed'"),
        ({3: add}, "projects 3, which is no type"),
    ],
)
def test_what_cannot_be_followed_is_refused(on, word):
    with pytest.raises(BadScenario, match=word) as refused:
        Projection("totals", {}, on)
    assert "\n" not in str(refused.value)
