"""Order: resequencers and logical clocks as pure values, the resequencer as a part, and how often paths overtake."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shops import run

import evsim as ev
from evsim.patterns.ordering import CausalDelivery, Lamport, Resequencer, Vector
from evsim.view.checks import judge

# ---------------------------------------------------------------- the resequencer, by itself


@given(st.permutations(range(1, 12)), st.lists(st.integers(0, 10), max_size=6), st.integers(0, 50))
def test_whatever_order_they_come_in_they_go_on_in_order_and_once(order, again, seed):
    """Each number comes at least once, some again, in any order: out come 1, 2, 3…, each once."""
    coming = list(order)
    for spot in again:
        coming.insert(random.Random(seed).randrange(len(coming) + 1), order[spot])
    sorter, out = Resequencer(), []
    for number in coming:
        fate, released = sorter.take("k", number, number, 0.0)
        assert (fate == "held") <= (released == [])
        out += released
    assert out == list(range(1, 12))
    assert sorter.held == 0
    assert sorter.next_due_s == math.inf


@given(
    st.permutations(range(1, 12)), st.sets(st.integers(1, 11), max_size=5), st.sampled_from([0.0, 0.5, 2.0, 5.0]),
    st.sampled_from([None, 1, 2, 4]),
)  # fmt: skip
def test_no_item_is_swallowed_and_only_what_was_given_up_is_out_of_order(order, lost, timeout_s, capacity):
    sorter, out, late = Resequencer(timeout_s, capacity), [], []
    for now, number in enumerate(order):
        out += sorter.due(now)
        if number not in lost:
            fate, released = sorter.take("k", number, number, now)
            (late if fate == "late" else out).extend(released)
    out += sorter.due(1000.0)
    assert sorted(out + late) == sorted(set(range(1, 12)) - lost)
    assert out == sorted(out)


def test_a_gap_is_waited_for_from_when_the_first_came_that_waits():
    sorter = Resequencer(gap_timeout_s=5)
    assert sorter.take("k", 1, "a", 0.0) == ("passed", ["a"])
    assert sorter.take("k", 3, "c", 2.0) == ("held", [])
    assert sorter.take("k", 4, "d", 4.0) == ("held", [])
    assert sorter.next_due_s == 7.0
    assert sorter.due(6.9) == []
    assert sorter.due(7.0) == ["c", "d"]
    assert sorter.take("k", 2, "b", 8.0) == ("late", ["b"])
    assert sorter.take("k", 2, "b", 9.0) == ("known", [])
    assert sorter.take("k", 5, "e", 9.0) == ("passed", ["e"])


def test_keys_do_not_wait_for_each_other():
    sorter = Resequencer()
    assert sorter.take("a", 2, "a2", 0.0).released == []
    assert sorter.take("b", 1, "b1", 0.0).released == ["b1"]
    assert sorter.held == 1


@pytest.mark.parametrize("wrong", [{"gap_timeout_s": -1}, {"gap_timeout_s": math.nan}, {"capacity": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ev.BadScenario, match="expected"):
        Resequencer(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"gap_timeout_s": "5"}, {"gap_timeout_s": True}, {"capacity": 1.5}, {"capacity": "3"}, {"capacity": True}],
)
def test_settings_of_a_wrong_kind_are_refused_in_a_sentence(wrong):
    with pytest.raises(ev.BadScenario, match=f"{next(iter(wrong))}=.*expected"):
        Resequencer(**wrong)


@pytest.mark.parametrize("number", [0, -1, 1.5, "1", None, True, math.nan])
def test_what_is_no_number_is_refused_and_nothing_is_changed(number):
    sorter = Resequencer(1.0)
    with pytest.raises(ev.BadEvent, match="whole number from 1"):
        sorter.take("k", number, "item", 0.0)
    assert sorter.lines == {}


def test_a_gap_of_billions_costs_nothing_and_each_of_its_numbers_may_come_late_once():
    """A reader who comes late to a line, or one wild number, must not fill the memory with what is missing."""
    sorter = Resequencer(1.0)
    sorter.take("k", 10**12, "last", 0.0)
    assert sorter.due(1.0) == ["last"]
    for number in (1, 10**12 - 1, 10**6, 10**6 + 1, 10**6 - 1):
        assert sorter.take("k", number, number, 2.0) == ("late", [number])
        assert sorter.take("k", number, number, 2.0).fate == "known"
    assert sorter.take("k", 10**12 + 1, "next", 2.0).fate == "passed"


def test_many_keys_of_which_few_wait_cost_no_more_than_those_that_wait():
    sorter = Resequencer(5.0)
    for key in range(20_000):
        sorter.take(key, 1, key, 0.0)
        assert sorter.next_due_s == math.inf
    sorter.take("slow", 2, "b", 1.0)
    assert (sorter.held, sorter.next_due_s) == (1, 6.0)


# ---------------------------------------------------------------- logical clocks

PROCESSES = ("shop", "stock", "till")
steps = st.lists(st.tuples(st.sampled_from(PROCESSES), st.sampled_from(["act", "send", "hear"])), max_size=30)


def played(plan):
    """Each event's process, Lamport time, vector, and all that it knows of; messages are broadcast."""
    lamports, vectors = {p: Lamport() for p in PROCESSES}, {p: Vector() for p in PROCESSES}
    knows, mail, found = {p: frozenset() for p in PROCESSES}, [], []
    for number, (process, act) in enumerate(plan):
        vectors[process] = vectors[process].after(process)
        if act == "hear" and mail:
            time, vector, known = mail.pop(0)
            lamport = lamports[process].hear(time)
            vectors[process] |= vector
            knows[process] |= known
        else:
            lamport = lamports[process].tick()
        knows[process] |= {number}
        if act == "send":
            mail.append((lamport, vectors[process], knows[process]))
        found.append((process, lamport, vectors[process], knows[process]))
    return found


@given(steps)
def test_vector_clocks_say_exactly_who_has_led_to_whom_and_lamports_never_the_contrary(plan):
    found = played(plan)
    for a, (_, lamport_a, vector_a, _) in enumerate(found):
        for b, (_, lamport_b, vector_b, known_b) in enumerate(found):
            led = a != b and a in known_b
            assert (vector_a < vector_b) == led
            assert vector_a.is_concurrent(vector_b) == (a != b and not led and b not in found[a][3])
            if led:
                assert lamport_a < lamport_b


def test_two_vectors_that_count_the_same_are_one():
    assert Vector({"shop": 1}) == Vector({"shop": 1, "stock": 0})
    assert hash(Vector({"shop": 1})) == hash(Vector({"shop": 1, "stock": 0}))
    assert Vector() <= Vector({"shop": 1})
    assert Vector() != 0


@given(steps, st.integers(0, 99))
def test_causal_delivery_gives_causes_first_whatever_order_the_network_gives(plan, seed):
    """Every process broadcasts; a reader that gets the messages in any order, some twice, is given causes first."""
    clocks, messages = {p: Vector() for p in PROCESSES}, []
    for process, act in plan:
        if act == "hear" and messages:
            clocks[process] |= random.Random(seed).choice(messages)[1]
        else:
            clocks[process] = clocks[process].after(process)
            messages.append((process, clocks[process], len(messages)))
    coming = messages + messages[: len(messages) // 2]
    random.Random(seed).shuffle(coming)
    reader, out = CausalDelivery(), []
    for message in coming:
        out += reader.take(*message)
    assert sorted(out) == list(range(len(messages)))
    assert reader.held == 0
    for place, later in enumerate(out):
        assert not any(messages[later][1] < messages[earlier][1] for earlier in out[:place])


def test_what_was_lost_holds_up_all_that_follow_from_it():
    reader = CausalDelivery()
    first = Vector().after("shop")
    assert reader.take("stock", first.after("stock"), "packed") == []
    assert reader.take("till", Vector().after("till"), "opened") == ["opened"]
    assert reader.held == 1
    assert reader.take("shop", first, "placed") == ["placed", "packed"]


def test_thousands_that_come_in_the_wrong_order_are_delivered_at_once():
    clock, coming = Vector(), []
    for number in range(10_000):
        clock = clock.after("shop")
        coming.append((clock, number))
    reader, out = CausalDelivery(), []
    for each, number in reversed(coming):
        out += reader.take("shop", each, number)
    assert out == list(range(10_000))


def test_a_clock_is_its_own_and_does_not_change_with_what_it_was_made_of():
    counts = {"shop": 1}
    clock = Vector(counts)
    counts["shop"] = 2
    assert clock == Vector({"shop": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Vector({"shop": -1}), lambda: Vector({"shop": 1.5}), lambda: Vector({"shop": "x"}), lambda: Vector(3),
        lambda: Vector({1: 1}), lambda: Lamport().hear("x"), lambda: Lamport().hear(-5), lambda: Lamport().hear(1.5),
        lambda: CausalDelivery().take("shop", {"shop": 1}, "item"), lambda: CausalDelivery().take("shop", Vector(), 1),
    ],
)  # fmt: skip
def test_what_no_clock_says_is_refused_in_a_sentence(wrong):
    with pytest.raises(ev.BadEvent, match="expected"):
        wrong()


# ---------------------------------------------------------------- in the simulator

WAYS = (
    ev.Publisher("shop", to="orders", rate=20, key=ev.Zipf(5, 1.0), sequence="sequence", count=400),
    ev.Link("shop", "orders", delay_s=ev.Exponential(0.1), ordered=False),
    ev.Log("orders", partitions=2),
    ev.Consumer("billing", of="orders"),
)
SORTED = (
    *WAYS,
    ev.Resequencer("sorter", of="orders", to="sorted"),
    ev.Log("sorted", partitions=2),
    ev.Consumer("shipping", of="sorted"),
)


def numbers(history, step, node):
    """For each key, the numbers of its events in the order of these rows."""
    found = {}
    for index in history.of(step, node=node).event.tolist():
        event = history.event_at(index)
        found.setdefault(event.key, []).append(event.data["sequence"])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_resequencer_mends_what_the_network_has_mixed_up(seed):
    history = run(*SORTED, until_s=60, seed=seed)
    assert any(each != sorted(each) for each in numbers(history, "handled", "billing").values())
    for each in numbers(history, "handled", "shipping").values():
        assert each == list(range(1, len(each) + 1))
    assert len(history.of("handled", node="shipping")) == 400


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent"])
def test_a_crash_of_the_resequencer_costs_and_doubles_nothing(step):
    history = run(*SORTED, ev.Crash("sorter", after=step, nth=50, down_s=3), until_s=80, seed=3)
    for each in numbers(history, "handled", "shipping").values():
        assert each == list(range(1, len(each) + 1))
    assert len(history.of("handled", node="shipping")) == 400


def test_what_is_lost_holds_the_others_up_for_the_gap_timeout():
    lossy = (*SORTED, ev.Drop("shop", "orders", share=0.02))
    for_ever = run(*lossy, until_s=80, seed=1)
    sorter = ev.Resequencer("sorter", of="orders", to="sorted", gap_timeout_s=2.0)
    patient = run(*[sorter if part.name == "sorter" else part for part in lossy], until_s=80, seed=1)
    lost = len(for_ever.of("dropped"))
    assert lost > 3
    assert len(for_ever.of("handled", node="shipping")) < 400 - 2 * lost, "a gap that is never given up stops its key"
    assert len(patient.of("handled", node="shipping")) == 400 - lost
    for each in numbers(patient, "handled", "shipping").values():
        assert each == sorted(each)


@pytest.mark.parametrize("gap_timeout_s", [0.0, 0.1, 1 / 3, 1.0, 5.0])
def test_any_gap_timeout_comes_to_its_end(gap_timeout_s):
    """The moment at which a gap is given up need not lie on the grid of the clock."""
    sorter = ev.Resequencer("sorter", of="orders", to="sorted", gap_timeout_s=gap_timeout_s)
    parts = [sorter if part.name == "sorter" else part for part in SORTED]
    history = run(*parts, ev.Drop("shop", "orders", share=0.02), until_s=80, seed=7)
    assert len(history.of("handled", node="shipping")) == 400 - len(history.of("dropped"))


def test_what_comes_twice_goes_on_once():
    history = run(*SORTED, ev.Duplicate("shop", "orders", share=0.3), until_s=60, seed=1)
    assert len(history.of("deduplicated", node="sorter")) > 50
    assert len(history.of("handled", node="shipping")) == 400


def test_an_event_without_a_number_is_unroutable():
    plain = ev.Publisher("shop", to="orders", rate=20, count=5)
    history = run(plain, *SORTED[1:], until_s=20)
    assert len(history.of("unroutable", node="sorter")) == 5
    assert len(history.of("handled", node="shipping")) == 0


@pytest.mark.parametrize(("gap_s", "mean_s"), [(0.05, 0.1), (0.2, 0.1), (0.03, 0.3)])
def test_how_often_two_paths_overtake(gap_s, mean_s):
    """P = ½ e^(−Δ/m): an event sent Δ later arrives first, when both ways take an exponential time of mean m."""
    overtaken = pairs = 0
    for seed in range(8):
        history = run(
            ev.Publisher("shop", to="orders", gap_s=ev.Constant(gap_s), count=4000),
            ev.Link("shop", "orders", delay_s=ev.Exponential(mean_s), ordered=False),
            ev.Log("orders"),
            until_s=4000 * gap_s + 30, seed=seed,
        )  # fmt: skip
        stored = history.of("stored")
        arrival = dict(zip(stored.event.tolist(), stored.time.tolist(), strict=True))
        overtaken += sum(arrival[n + 1] < arrival[n] for n in range(3999))
        pairs += 3999
    expected = 0.5 * math.exp(-gap_s / mean_s)
    assert overtaken / pairs == pytest.approx(expected, rel=0.03, abs=0.004)


def test_order_by_key_costs_less_than_a_fifth_of_the_free_throughput():
    """Eight hands that keep the order of keys against a queue of eight workers that keep none; the same customers."""
    shop = ev.Publisher("shop", to="orders", rate=200, key=ev.Zipf(100, 0.5), count=4000)
    keyed = run(shop, ev.Log("orders"), ev.Consumer("billing", of="orders", parallel=8, service_s=ev.Exponential(0.1)),
                until_s=200, seed=1)  # fmt: skip
    free = run(shop, ev.Queue("orders"), ev.Consumer("billing", of="orders", members=8, service_s=ev.Exponential(0.1)),
               until_s=200, seed=1)  # fmt: skip
    took = [each.of("handled").time[-1] for each in (keyed, free)]
    assert len(keyed.of("handled")) == len(free.of("handled")) == 4000
    assert took[1] / took[0] >= 0.8
    assert [judge(ev.in_order_by_key(), each).state for each in (keyed, free)] == ["ok", "VIOLATED"]
