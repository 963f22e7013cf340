"""Promises: kept, broken with the smallest witness, and not to be judged."""

from __future__ import annotations

import time

import pytest
from histories import queue, script
from hypothesis import given
from hypothesis import strategies as st

from evsim.errors import BadEvent, BadScenario
from evsim.history import History
from evsim.view.checks import (
    at_least_once,
    at_most_once,
    every,
    exactly_once,
    in_order_by_key,
    judge,
    nothing_lost,
)
from evsim.view.verdict import Verdict

ALL = (
    at_most_once("card charged"),
    at_least_once("card charged"),
    exactly_once("card charged"),
    in_order_by_key(),
    nothing_lost(),
    every("order.placed").ends,
    every("order.placed").ends_in("order.paid"),
)


def order(n: int, start: float, step: str = "acked", effects: int = 1, again_s: float = 0.0) -> str:
    """The life of order ``n`` at billing up to a step; delivered again a while later, if so wished."""
    who = f"shop.{n} {n - 1}"
    lines = [
        f"{start} published shop orders shop.{n}",
        f"{start} stored orders orders/0 {who}",
        f"{start + 0.1:.3f} delivered billing orders/0 {who}",
        *[f"{start + 0.2:.3f} effect billing card_charged shop.{n} -1"] * effects,
        f"{start + 0.2:.3f} handled billing orders/0 {who}",
        f"{start + 0.2:.3f} acked billing orders/0 {who}",
    ]
    until = {"published": 1, "stored": 2, "delivered": 3, "handled": 5, "acked": 6}[step]
    lines = lines[: until - (1 - effects if until > 3 else 0)]
    if again_s:
        lines.append(f"{start + 0.3:.3f} crashed billing")
        lines += [
            line.replace(line.split()[0], f"{float(line.split()[0]) + again_s:.3f}", 1)
            for line in lines
            if line.split()[1] in {"delivered", "effect", "handled"}
        ]
    return "\n".join(lines)


def plays(*orders: str) -> str:
    """Several lives, merged in the order of time."""
    return "\n".join(sorted("\n".join(orders).splitlines(), key=lambda line: float(line.split()[0])))


@pytest.mark.parametrize("promise", ALL, ids=str)
@pytest.mark.parametrize("history", [History(), script("")], ids=["empty", "idle"])
def test_an_empty_history_is_unknown_with_a_reason(promise, history):
    verdict = promise.judge(history)
    assert verdict.state == "unknown"
    assert verdict.lines
    assert str(verdict).startswith("unknown   ")


@pytest.mark.parametrize("promise", [ALL[0], ALL[1], ALL[2], ALL[4], ALL[5]], ids=str)
def test_a_good_run_keeps_all_promises(promise):
    verdict = promise.judge(script(plays(order(1, 1.0), order(2, 2.0), order(3, 3.0))))
    assert verdict.state == "ok", verdict
    assert verdict.lines == ()


# -------------------------------------------------------------------- at most once


def test_a_verdict_is_laid_out_so_that_it_can_be_read():
    verdict = at_most_once("card charged").judge(script(plays(order(1, 1.0), order(2, 2.0, "handled", again_s=5.0))))
    assert str(verdict) == (
        "VIOLATED  at most one «card charged» per order\n"
        "          order-2: 2 times, at 2.200 s and 7.200 s: the same message, delivered twice"
    )
    assert repr(verdict) == str(verdict)
    assert (verdict.key, verdict.event_ids, verdict.times) == ("order-2", ("shop.2",), (2.2, 7.2))
    assert verdict.look == 'run.story("order-2")'
    assert (
        str(at_most_once("card charged").judge(script(order(1, 1.0))))
        == "ok        at most one «card charged» per order"
    )


def test_the_witness_has_the_fewest_rows_and_is_then_the_earliest():
    many = plays(order(1, 1.0, effects=3), order(2, 3.0, effects=2), order(3, 2.0, effects=2))
    verdict = at_most_once("card charged").judge(script(many))
    assert verdict.key == "order-3"
    assert verdict.lines[1] == "and 2 more orders"


PLACES = {"published": "shop orders", "stored": "orders orders/0", "delivered": "billing orders/0"}


@pytest.mark.parametrize(
    ("before", "events", "why"),
    [
        (["published shop.1", "published shop.1"], {}, "the same message, published twice"),
        (["published shop.1", "stored shop.1", "stored shop.1"], {}, "the same message, stored twice"),
        (["published shop.1", "delivered shop.1"], {}, "the same message, twice in one handling"),
        (["delivered shop.1", "delivered shop.1", "delivered shop.1"], {}, "the same message, delivered 3 times"),
        ([], {"shop.2": {"key": "order-1"}}, "two different messages with the same key, shop.1 and shop.2"),
        (
            [],
            {"shop.1": {"causation_id": "app.7"}, "shop.2": {"key": "order-1", "causation_id": "app.7"}},
            "two messages, shop.1 and shop.2, both caused by app.7",
        ),
    ],
)
def test_a_witness_says_why_when_it_can_be_seen(before, events, why):
    second = "shop.2" if events else "shop.1"
    lines = ["0.5 published shop orders app.7"]
    lines += [f"1.0 {step} {PLACES[step]} {event} 0" for step, event in (line.split() for line in before)]
    lines += ["1.0 effect billing card_charged shop.1 -1", f"2.0 effect billing card_charged {second} -1"]
    verdict = at_most_once("card charged").judge(script("\n".join(lines), events=events))
    assert verdict.lines[0] == f"order-1: 2 times, at 1.000 s and 2.000 s: {why}"


def test_a_doubled_message_says_so():
    text = """
        1.0 published shop orders shop.1
        1.0 duplicated shop>orders - shop.1
        1.0 stored orders orders/0 shop.1 0
        1.0 stored orders orders/0 shop.1 1
        2.0 effect billing card_charged shop.1 -1
        3.0 effect billing card_charged shop.1 -1
    """
    assert (
        at_most_once("card charged")
        .judge(script(text))
        .lines[0]
        .endswith("stored twice, for it was doubled on the way")
    )


def test_two_groups_that_do_the_same_are_named():
    text = "1.0 effect billing card_charged shop.1 -1\n2.0 effect payment card_charged shop.1 -1"
    assert at_most_once("card charged").judge(script(text)).lines[0].endswith("handled by billing and payment")


def test_a_note_with_a_key_counts_for_that_key():
    history = script("")
    for n in (1, 2):
        history.record(
            1.0 * n, history.code("effect", "billing", "card charged"), -1, history.note(key="anna", amount=n)
        )
    verdict = at_most_once("card charged").judge(history)
    assert (verdict.state, verdict.key) == ("VIOLATED", "anna")


def test_without_a_key_the_flow_counts_and_without_a_flow_the_event():
    keyless = {"shop.1": {"key": None}, "app.1": {"key": None, "correlation_id": "shop.1"}, "app.2": {"key": None}}
    text = (
        "1 effect billing mail_sent shop.1 -1\n2 effect billing mail_sent app.1 -1\n3 effect billing mail_sent app.2 -1"
    )
    verdict = at_most_once("mail sent").judge(script(text, events=keyless))
    assert (verdict.state, verdict.key, verdict.event_ids) == ("VIOLATED", "shop.1", ("shop.1", "app.1"))


def test_a_misspelt_effect_is_unknown_and_answered_with_the_nearest():
    verdict = at_most_once("card chargd").judge(script(order(1, 1.0)))
    assert verdict.state == "unknown"
    assert verdict.lines == ("«card chargd» never happened — did you mean 'card charged'?",)


# -------------------------------------------------------------------- at least once, exactly once


@pytest.mark.parametrize("promise", [at_least_once("card charged"), exactly_once("card charged")], ids=str)
def test_an_event_that_is_dealt_with_without_its_effect_breaks_the_promise(promise):
    verdict = promise.judge(script(plays(order(1, 1.0), order(2, 2.0, effects=0))))
    assert verdict.state == "VIOLATED"
    assert verdict.lines == ("order-2: never; shop.2 was handled by billing at 2.200 s",)


def test_what_was_lost_on_the_way_goes_without_its_effect():
    text = plays(order(1, 1.0), "2.0 published shop orders shop.2", "2.0 dropped shop>orders - shop.2")
    verdict = at_least_once("card charged").judge(script(text))
    assert verdict.lines == ("order-2: never; shop.2 was lost on the way shop>orders at 2.000 s",)


@pytest.mark.parametrize("step", ["published", "stored", "delivered"])
def test_what_is_under_way_is_not_judged_but_counted(step):
    verdict = at_least_once("card charged").judge(script(plays(order(1, 1.0), order(2, 2.0, step, effects=0))))
    assert verdict.state == "ok"
    assert verdict.lines == ("1 was still under way when the run stopped",)
    alone = at_least_once("card charged").judge(script(order(2, 2.0, step, effects=0)))
    assert alone.state == "unknown"


def test_an_effect_that_nothing_ever_had_was_due_for_all_that_was_handled():
    assert at_least_once("card charged").judge(script(order(1, 1.0, effects=0))).state == "VIOLATED"


def test_the_type_for_which_it_is_due_may_be_named():
    text = plays(order(1, 1.0), order(2, 2.0, effects=0))
    events = {"shop.2": {"type": "order.cancelled"}}
    assert at_least_once("card charged").judge(script(text, events=events)).state == "ok"
    named = at_least_once("card charged", of="order.cancelled").judge(script(text, events=events))
    assert named.key == "order-2"
    unknown = at_least_once("card charged", of="order.canceled").judge(script(text, events=events))
    assert unknown.lines == ("no order.canceled was published — did you mean 'order.cancelled'?",)


def test_exactly_once_is_broken_by_twice_as_by_never():
    twice = exactly_once("card charged").judge(script(order(1, 1.0, effects=2)))
    assert (twice.state, twice.promise, twice.key) == ("VIOLATED", "exactly one «card charged» per order", "order-1")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_the_three_promises_agree_with_counting(counts):
    text = plays(*[order(n, float(n), effects=count) for n, count in enumerate(counts, 1)])
    history = script(text, until_s=20.0)
    if not any(counts):
        assert at_most_once("card charged").judge(history).state == "unknown"
        assert at_least_once("card charged").judge(history).state == "VIOLATED"
        return
    most, least, exactly = (p("card charged").judge(history).state for p in (at_most_once, at_least_once, exactly_once))
    assert (most == "ok") == (max(counts) <= 1)
    assert (least == "ok") == (min(counts) >= 1)
    assert (exactly == "ok") == (most == least == "ok")


# -------------------------------------------------------------------- in order

SAME_KEY = {"shop.2": {"key": "order-1"}}


def handled(*events: str) -> str:
    """Two events of one order, published in this order and handled in that."""
    lines = [f"1.{n} published shop orders shop.{n}" for n in (1, 2)]
    return "\n".join([*lines, *[f"{2 + n}.0 handled billing orders/0 {event} 0" for n, event in enumerate(events)]])


def test_the_events_of_a_key_in_their_order_are_ok():
    assert in_order_by_key().judge(script(handled("shop.1", "shop.2"), events=SAME_KEY)).state == "ok"


def test_a_repetition_may_come_late():
    assert in_order_by_key().judge(script(handled("shop.1", "shop.2", "shop.1"), events=SAME_KEY)).state == "ok"


def test_a_new_event_before_an_older_one_breaks_the_order():
    verdict = in_order_by_key().judge(script(handled("shop.2", "shop.1"), events=SAME_KEY))
    assert verdict.state == "VIOLATED"
    assert verdict.lines == (
        (
            "order-1: billing handled shop.2 at 2.000 s, then shop.1 at 3.000 s: "
            "published in the other order, at 1.200 s and 1.100 s"
        ),
    )


@pytest.mark.parametrize(
    ("stores", "why"),
    [
        (("orders/0 shop.2 0", "orders/0 shop.1 1"), "overtaken on the way: stored as offsets 0 and 1"),
        (("orders/1 shop.2 0", "orders/0 shop.1 0"), "they lay in different partitions, orders/1 and orders/0"),
        (("orders/0 shop.1 0", "orders/0 shop.2 1"), "stored in the right order in orders/0, and handled in the other"),
    ],
)
def test_where_the_order_was_lost_is_told(stores, why):
    text = plays(handled("shop.2", "shop.1"), *[f"1.5 stored orders {each}" for each in stores])
    assert in_order_by_key().judge(script(text, events=SAME_KEY)).lines[1] == why


def test_orders_of_one_event_each_give_nothing_to_judge():
    verdict = in_order_by_key().judge(script(handled("shop.2", "shop.1")))
    assert verdict.lines == ("no group handled two events of one key",)


@given(st.permutations(range(6)))
def test_any_permutation_but_the_first_breaks_the_order(turns):
    lines = [f"1.{n} published shop orders shop.{n}" for n in range(6)]
    lines += [f"{2 + n}.0 handled billing orders/0 shop.{turn} 0" for n, turn in enumerate(turns)]
    verdict = in_order_by_key().judge(script("\n".join(lines), events={f"shop.{n}": {"key": "anna"} for n in range(6)}))
    assert (verdict.state == "ok") == (list(turns) == sorted(turns))


# -------------------------------------------------------------------- nothing lost


def test_a_loss_says_where_and_why():
    text = """
        1.0 published shop orders shop.1
        1.0 published shop orders shop.2
        1.0 stored orders orders/0 shop.1 0
        1.0 stored orders orders/0 shop.2 1
        2.0 acked billing orders/0 shop.1 0
        2.0 acked billing orders/0 shop.2 1
        2.0 delivered billing orders/0 shop.1 0
        3.0 handled billing orders/0 shop.1 0
        3.5 crashed billing
    """
    verdict = nothing_lost().judge(script(text))
    assert verdict.state == "VIOLATED"
    assert verdict.lines == (
        "shop.2 (order-2): acknowledged by billing at 2.000 s and never handled: billing crashed at 3.500 s",
    )


def test_retention_that_was_faster_is_told_and_the_shortest_story_is_chosen():
    text = plays(
        "1.0 published shop orders shop.1\n1.0 stored orders orders/0 shop.1 0\n2.0 expired billing orders/0 shop.1 0",
        "3.0 published shop orders shop.2\n3.0 dropped shop>orders - shop.2",
    )
    verdict = nothing_lost().judge(script(text))
    assert verdict.lines == ("shop.2 (order-2): lost on the way shop>orders at 3.000 s", "and 1 more lost event")
    alone = nothing_lost().judge(script("\n".join(text.splitlines()[:3])))
    assert alone.lines[0].endswith("deleted by retention at 2.000 s, before billing had read it")


def test_a_log_that_was_down_is_named():
    text = "1.0 published shop orders shop.1\n1.0 dropped orders - shop.1"
    assert nothing_lost().judge(script(text)).lines[0].endswith("lost at orders, which was down, at 1.000 s")


# -------------------------------------------------------------------- every … ends

PAID = {f"billing.{n}": {"type": "order.paid", "causation_id": f"shop.{n}", "key": f"order-{n}"} for n in (1, 2, 3)}


def paid(n: int, start: float, upto: int = 99) -> str:
    """Order ``n`` is placed, billing handles it and says that it is paid, shipping handles that."""
    lines = [
        f"{start} published shop orders shop.{n}",
        f"{start} stored orders orders/0 shop.{n} {n}",
        f"{start}1 delivered billing orders/0 shop.{n} {n}",
        f"{start}2 handled billing orders/0 shop.{n} {n}",
        f"{start}2 saved billing orders/0 shop.{n} {n}",
        f"{start}2 published billing paid billing.{n}",
        f"{start}2 sent billing orders/0 shop.{n} {n}",
        f"{start}2 acked billing orders/0 shop.{n} {n}",
        f"{start}3 stored paid paid/0 billing.{n} {n}",
        f"{start}4 delivered shipping paid/0 billing.{n} {n}",
        f"{start}5 handled shipping paid/0 billing.{n} {n}",
    ]
    return "\n".join(lines[:upto])


ENDS, ENDS_IN = every("order.placed").ends, every("order.placed").ends_in("order.paid")


@pytest.mark.parametrize("promise", [ENDS, ENDS_IN], ids=str)
def test_a_flow_that_is_handled_to_its_end_ends(promise):
    assert promise.judge(script(plays(paid(1, 1.0), paid(2, 2.0)), events=PAID)).state == "ok"


def test_the_promise_is_called_what_it_says():
    assert ENDS.name == "every order.placed ends"
    assert every("order.placed").ends_in("order.paid", "order.cancelled").name == (
        "every order.placed ends in order.paid or order.cancelled"
    )


@pytest.mark.parametrize("upto", [1, 2, 3, 6, 8, 9, 10])
def test_a_flow_that_is_under_way_is_not_judged(upto):
    verdict = ENDS.judge(script(plays(paid(1, 1.0), paid(2, 2.0, upto)), events=PAID))
    assert verdict.state == "ok"
    assert verdict.lines == ("1 was still under way when the run stopped",)


def test_when_none_had_the_time_nothing_is_known():
    verdict = ENDS.judge(script(paid(1, 1.0, 3), events=PAID))
    assert verdict.lines == ("none has had the time to: 1 was still under way when the run stopped",)


def test_a_follow_up_that_is_lost_ends_the_flow_too_early():
    text = plays(paid(1, 1.0), paid(2, 2.0, 8), "2.03 dropped billing>paid - billing.2")
    verdict = ENDS.judge(script(text, events=PAID))
    assert verdict.lines == ("order-2: billing.2 (order.paid) was lost on the way billing>paid at 2.030 s",)
    assert verdict.event_ids == ("shop.2", "billing.2")


@pytest.mark.parametrize("promise", [ENDS, ENDS_IN], ids=str)
def test_a_message_that_an_inbox_skips_though_its_follow_up_was_never_sent_leaves_the_flow_stuck(promise):
    crash = "2.03 crashed billing\n4.0 skipped billing orders/0 shop.2 2\n4.0 acked billing orders/0 shop.2 2"
    verdict = promise.judge(script(plays(paid(1, 1.0), paid(2, 2.0, 5), crash), events=PAID))
    assert verdict.state == "VIOLATED"
    assert verdict.lines[0] == (
        "order-2: shop.2 (order.placed) was handled by billing at 2.020 s, but what follows was never sent"
    )


def test_before_it_is_delivered_again_such_a_flow_is_under_way():
    verdict = ENDS.judge(script(plays(paid(1, 1.0), paid(2, 2.0, 5), "2.03 crashed billing"), events=PAID))
    assert (verdict.state, len(verdict.lines)) == ("ok", 1)


def test_a_handler_that_sends_nothing_may_crash_before_it_has_sent_nothing():
    text = plays(paid(1, 1.0, 5), "1.03 crashed billing\n4.0 skipped billing orders/0 shop.1 1")
    assert ENDS.judge(script(text, events=PAID)).state == "ok"


def test_a_dead_letter_is_no_end_unless_somebody_takes_it_up():
    dead = plays(
        paid(1, 1.0), paid(2, 2.0, 3), "2.1 failed billing orders/0 shop.2 2\n2.1 dead_lettered billing dead shop.2 2"
    )
    assert ENDS.judge(script(dead, events=PAID)).lines[0].endswith("was put aside in dead by billing at 2.100 s")
    repaired = plays(dead, "3.0 stored dead dead/0 shop.2 0\n3.0 delivered repair dead/0 shop.2 0")
    assert ENDS.judge(script(repaired, events=PAID)).state == "ok"
    done = plays(repaired, "4.0 handled repair dead/0 shop.2 0")
    assert ENDS.judge(script(done, events=PAID)).lines == ()


def test_a_flow_that_comes_to_rest_before_its_end_is_stuck():
    """Nothing is lost and nothing is under way, yet no order.shipped came of it."""
    verdict = every("order.placed").ends_in("order.shipped").judge(script(paid(1, 1.0), events=PAID))
    assert verdict.state == "VIOLATED"
    assert verdict.lines == ("order-1: billing.1 (order.paid) was the last of it, and nothing is under way",)


def test_a_type_that_was_not_published_is_unknown():
    verdict = every("order.packed").ends.judge(script(order(1, 1.0)))
    assert verdict.lines == ("no order.packed was published — did you mean 'order.placed'?",)


def test_a_request_that_a_service_refused_does_not_end():
    text = """
        1.0 published shop payment shop.1
        1.0 delivered shop payment shop.1
        2.0 handled shop payment shop.1
        3.0 published shop payment shop.2
        3.0 delivered shop payment shop.2
        4.0 failed shop payment shop.2
    """
    verdict = ENDS.judge(script(text))
    assert verdict.lines == ("order-2: shop.2 (order.placed) failed for shop at 4.000 s",)
    assert nothing_lost().judge(script(text)).state == "ok"


# -------------------------------------------------------------------- what users write


def test_any_function_of_a_history_is_a_promise():
    def few_rows(history):
        return len(history) < 5

    assert str(judge(few_rows, script(""))) == "ok        few rows"
    assert judge(few_rows, script(order(1, 1.0))).state == "VIOLATED"
    own = Verdict("unknown", "mine", ("too short",))
    assert judge(lambda history: own, script("")) is own
    assert judge(nothing_lost(), script("")).state == "unknown"


@pytest.mark.parametrize(
    ("promise", "sentence"),
    [
        (nothing_lost, r"nothing_lost was given without being called; write nothing_lost\(…\)"),
        (every("order.placed"), r'every\("order\.placed"\) promises nothing yet; say every\("order\.placed"\)\.ends'),
        ("card charged", "'card charged' is no promise"),
        (lambda history: 7, "answered 7; expected a Verdict, True or False"),
    ],
)
def test_what_is_no_promise_is_refused_in_one_sentence(promise, sentence):
    with pytest.raises(BadScenario, match=sentence):
        judge(promise, script(""))


def test_a_promise_is_checked_when_it_is_made():
    with pytest.raises(BadScenario, match="expected the name of an effect"):
        at_most_once(3)
    with pytest.raises(BadScenario, match="needs the type in which it should end"):
        every("order.placed").ends_in()
    with pytest.raises(BadEvent, match=r"order\.placed"):
        every("Order.Placed")


def test_promises_are_values():
    assert at_most_once("x") == at_most_once("x") != at_most_once("y")
    assert len({every("order.placed").ends, every("order.placed").ends, nothing_lost()}) == 2


def test_judging_takes_linear_time():
    history = queue(n=50_000)
    effect, end_s = history.code("effect", "billing", "card charged"), float(history.time[-1])
    for event in range(50_000):
        history.record(end_s, effect, event, history.note(key=f"order-{event}"))
    began = time.perf_counter()
    for promise in ALL:
        promise.judge(history)
    assert time.perf_counter() - began < 3.0
