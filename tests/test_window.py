"""Windows on event time: every event in its windows, once; results that depend on no clock; late events as agreed."""

from __future__ import annotations

import json
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim import BadEvent, BadScenario
from evsim.patterns.window import Session, Sliding, Span, Tumbling, Windows, late_share

times = st.lists(st.tuples(st.floats(0, 100).map(lambda at: round(at, 2)), st.sampled_from("ab")), max_size=30)
kinds = st.one_of(
    st.builds(Tumbling, st.sampled_from([1.0, 7.0, 60.0])),
    st.sampled_from([Sliding(10.0, 5.0), Sliding(10.0, 3.0), Sliding(5.0, 5.0)]),
    st.builds(Session, st.sampled_from([0.5, 3.0, 20.0])),
)


def played(windows, coming):
    """All that is said for events (time, key), each of the value 1, and at the end."""
    state, said = {}, []
    for at_s, key in coming:
        said += windows.add(state, at_s, key, 1)
    return said + windows.finish(state), state


def by_hand(kind, coming):
    """What the windows of all events must count."""
    if not isinstance(kind, Session):
        return Counter((key, span) for at_s, key in coming for span in kind.spans(at_s))
    found = Counter()
    for key in {key for _, key in coming}:
        moments = sorted(at_s for at_s, k in coming if k == key)
        start, last, count = moments[0], moments[0], 0
        for at_s in moments:
            if at_s >= last + kind.gap_s:
                found[key, Span(start, last + kind.gap_s)] = count
                start, count = at_s, 0
            last, count = at_s, count + 1
        found[key, Span(start, last + kind.gap_s)] = count
    return found


@given(kinds, times, st.integers(0, 99))
def test_with_a_bound_that_covers_all_delays_every_event_is_counted_whatever_the_order(kind, coming, seed):
    random.Random(seed).shuffle(coming)
    said, state = played(Windows(kind, bound_s=1000.0), coming)
    assert {(each.key, each.span): each.value for each in said} == by_hand(kind, coming)
    assert all(each.what == "result" for each in said)
    assert list(state) in ([], ["watermarks"]), "what is final is forgotten"


@given(kinds, times, st.sampled_from([0.0, 2.0, 20.0]), st.sampled_from(["drop", "side", "update"]), st.integers(0, 99))
def test_no_event_is_counted_twice_and_none_is_gone_without_a_word(kind, coming, bound_s, late, seed):
    """Over all windows: what their last results count, and what was put aside, is all that was to be counted."""
    random.Random(seed).shuffle(coming)
    lateness = {"lateness_s": 5.0} if late == "update" else {}
    said, _ = played(Windows(kind, bound_s=bound_s, late=late, **lateness), coming)
    if isinstance(kind, Session):
        return  # a session that was said may be joined to another: tested below
    last, aside = {}, Counter()
    for each in said:
        if each.what == "late":
            aside[each.key, each.span] += each.value
        else:
            assert (each.what == "update") == ((each.key, each.span) in last), "a result comes first, and once"
            last[each.key, each.span] = each.value
    due = by_hand(kind, coming)
    counted = Counter(last) + aside
    assert counted == due if late != "drop" else all(counted[each] <= due[each] for each in counted)


def test_a_window_speaks_when_the_watermark_has_passed_its_end():
    windows, state = Windows(Tumbling(10), bound_s=2), {}
    assert windows.add(state, 3, "a", 5) == []
    assert windows.add(state, 11.9, "a", 1) == []
    assert windows.add(state, 9, "a", 2) == [], "it is in time: the watermark is at 9.9"
    assert windows.add(state, 12, "a", 1) == [("result", "a", Span(0, 10), 7)]
    assert windows.watermark_s(state) == 10


def test_the_slowest_source_holds_the_watermark_until_it_is_dismissed():
    windows, state = Windows(Tumbling(10)), {}
    windows.expect(state, "till")
    assert windows.add(state, 25, "a", 1, source="web") == []
    assert windows.watermark_s(state) == -math.inf
    assert windows.hear(state, 12, source="till") == []
    assert windows.add(state, 5, "a", 1, source="till") == [], (
        "late: its window ended at 10, and the watermark is at 12"
    )
    assert [each.span for each in windows.dismiss(state, "till")] == []
    assert windows.add(state, 31, "a", 1, source="web") == [("result", "a", Span(20, 30), 1)]


@pytest.mark.parametrize(
    ("late", "said"),
    [
        ({"late": "drop"}, []),
        ({"late": "side"}, [("late", "a", Span(0, 10), 5)]),
        ({"late": "update", "lateness_s": 20}, [("update", "a", Span(0, 10), 6)]),
        ({"late": "update", "lateness_s": 10}, [("late", "a", Span(0, 10), 5)]),
    ],
)
def test_what_becomes_of_a_late_event(late, said):
    windows, state = Windows(Tumbling(10), **late), {}
    windows.add(state, 1, "a", 1)
    assert windows.add(state, 20, "a", 1) == [("result", "a", Span(0, 10), 1)]
    assert windows.add(state, 9, "a", 5) == said


def test_an_event_between_two_sessions_joins_them():
    windows, state = Windows(Session(5), bound_s=100), {}
    for at_s in (1, 2, 9):
        windows.add(state, at_s, "a", 1)
    assert windows.open(state) == 2
    windows.add(state, 5, "a", 1)
    assert windows.open(state) == 1
    assert windows.finish(state) == [("result", "a", Span(1, 14), 4)]


def test_a_session_that_was_said_is_updated_when_a_late_event_joins_it():
    windows, state = Windows(Session(5), late="update", lateness_s=50), {}
    windows.add(state, 1, "a", 1)
    assert windows.add(state, 30, "a", 1) == [("result", "a", Span(1, 6), 1)]
    assert windows.add(state, 4, "a", 1) == [("update", "a", Span(1, 6), None), ("update", "a", Span(1, 9), 2)]


@given(times, st.sampled_from([0.5, 3.0, 20.0]), st.sampled_from([0.0, 2.0]), st.integers(0, 99))
def test_sessions_that_were_said_and_grow_together_are_counted_once_in_the_end(coming, gap_s, bound_s, seed):
    """The last word on each span, whatever came when, is what the sessions of all events are."""
    random.Random(seed).shuffle(coming)
    said, _ = played(Windows(Session(gap_s), bound_s=bound_s, late="update", lateness_s=1000.0), coming)
    last = {(each.key, each.span): each.value for each in said}
    assert {span: value for span, value in last.items() if value is not None} == by_hand(Session(gap_s), coming)


def test_two_sessions_that_were_said_are_taken_back_when_a_late_event_joins_them():
    windows, state = Windows(Session(5), late="update", lateness_s=50), {}
    for at_s in (1, 8, 30):
        windows.add(state, at_s, "a", 1)
    assert windows.add(state, 5, "a", 1) == [
        ("update", "a", Span(1, 6), None), ("update", "a", Span(8, 13), None), ("update", "a", Span(1, 13), 3),
    ]  # fmt: skip


sizes = st.one_of(st.sampled_from([0.1, 0.2, 0.3, 0.7, 1 / 3, 1.1]), st.floats(1e-3, 1e4))


@given(st.one_of(st.integers(-(10**6), 10**7), st.floats(-1e6, 1e7)), sizes, st.integers(1, 6))
def test_a_moment_lies_in_its_windows_and_windows_in_a_row_touch(place, every_s, times):
    """Also where sizes are no binary fractions and the moment is the end of a window and the start of the next."""
    at_s = place * every_s
    (span,) = Tumbling(every_s).spans(at_s)
    assert span.start_s <= at_s < span.end_s
    assert Tumbling(every_s).spans(span.end_s)[0].start_s == span.end_s
    hopping = Sliding(times * every_s, every_s).spans(at_s)
    assert len(hopping) == times
    assert all(each.start_s <= at_s < each.end_s for each in hopping)
    assert hopping[-1].start_s == span.start_s


@pytest.mark.parametrize(
    ("at_s", "key"), [(math.nan, "a"), (math.inf, "a"), ("5", "a"), (None, "a"), (5, None), (5, 7)]
)
def test_what_is_no_moment_or_no_key_is_refused_and_nothing_is_changed(at_s, key):
    windows, state = Windows(Tumbling(10)), {}
    with pytest.raises(BadEvent, match="expected"):
        windows.add(state, at_s, key, 1)
    assert state == {}


def test_the_state_is_json_and_goes_on_where_it_was_left():
    windows, state = Windows(Sliding(10, 5), bound_s=3), {}
    windows.expect(state, "web")
    windows.add(state, 7, "a", 1, source="web")
    again = json.loads(json.dumps(state))
    assert windows.add(again, 40, "a", 1, source="web") == windows.add(state, 40, "a", 1, source="web") != []


def test_any_fold_will_do():
    most = Windows(Tumbling(10), fold=max, initial=-math.inf)
    said, _ = played(most, [])
    state = {}
    for value in (3, 9, 4):
        said += most.add(state, 5, "a", value)
    assert said + most.finish(state) == [("result", "a", Span(0, 10), 9)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Tumbling(0), lambda: Tumbling(math.inf), lambda: Tumbling("5"), lambda: Sliding(5, 6),
        lambda: Session(-1), lambda: Windows(Tumbling(1), bound_s=-1), lambda: Windows(Tumbling(1), late="never"),
        lambda: Windows(Tumbling(1), lateness_s=5), lambda: Windows(Tumbling(1), bound_s=math.nan),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(BadScenario, match=r"expected|leave it out"):
        wrong()


@pytest.mark.parametrize(("bound_s", "mean_s", "size_s"), [(6.0, 2.0, 0.5), (3.0, 2.0, 1.0), (2.0, 2.0, 5.0)])
def test_how_many_events_are_late(bound_s, mean_s, size_s):
    """S5: e^(−L/m) for small windows; a window of size w waits (m/w)(1 − e^(−w/m)) of that longer, on average."""
    late, many = 0, 60_000
    for seed in range(4):
        rng = random.Random(seed)
        sent = sorted(rng.uniform(0, many / 50) for _ in range(many))
        coming = sorted((at_s + rng.expovariate(1 / mean_s), at_s) for at_s in sent)
        windows, state = Windows(Tumbling(size_s), bound_s=bound_s, late="side"), {}
        for now, at_s in coming:
            windows.hear(state, now)  # a punctuation: the watermark is exactly the bound behind the clock
            late += sum(each.what == "late" for each in windows.add(state, at_s, "a", 1))
    assert late / (4 * many) == pytest.approx(late_share(bound_s, mean_s, size_s), rel=0.03)


@pytest.mark.parametrize(("bound_s", "mean_s", "rate"), [(3, 2, 2.0), (0, 2, 0.5), (1, 0.5, 20.0), (0.5, 1, 0.2)])
def test_the_watermark_lags_the_more_the_fewer_events_come(bound_s, mean_s, rate):
    """The newest event is late as well: with few events a second, that is what counts."""
    late, many = 0, 60_000
    for seed in range(4):
        rng, at_s, sent = random.Random(seed), 0.0, []
        for _ in range(many):
            at_s += rng.expovariate(rate)
            sent.append(at_s)
        windows, state = Windows(Tumbling(mean_s / 10), bound_s=bound_s, late="side"), {}
        for _, at_s in sorted((at_s + rng.expovariate(1 / mean_s), at_s) for at_s in sent):
            late += sum(each.what == "late" for each in windows.add(state, at_s, "a", 1))
    assert late / (4 * many) == pytest.approx(late_share(bound_s, mean_s, mean_s / 10, rate), rel=0.03)


@pytest.mark.parametrize("wrong", [(-1, 2), (1, 0), (1, 2, -1), (1, 2, 0, 0), (math.nan, 2)])
def test_the_formula_refuses_what_is_no_time(wrong):
    with pytest.raises(BadScenario, match="expected"):
        late_share(*wrong)
