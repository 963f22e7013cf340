"""The datasets: what their READMEs promise, and what happens to a file that is broken."""

from __future__ import annotations

import gzip
import json
import runpy
from collections import Counter

import pytest

from evsim.errors import BadFile, UnknownName
from evsim.lab import data


@pytest.fixture(scope="module")
def orders():
    return data.load("orders")


def test_both_datasets_are_there_and_say_where_they_come_from():
    assert data.names() == ["flights", "orders"]
    for name in data.names():
        about = data.about(name)
        assert all(word in about for word in ("Origin", "Licence", "unit", "How it was made", "How to remake it"))
        assert (data.folder_of(name) / "events.jsonl.gz").stat().st_size <= 2 * 2**20


def test_orders_holds_everything_that_goes_wrong(orders):
    assert len(orders) >= 20_000
    assert {arrival.event.version for arrival in orders.arrivals} == {1, 2, 3}
    assert all(len(orders.labelled(label)) > 50 for label in data.LABELS)


def test_the_labels_of_orders_are_true(orders):
    seen, newest = set(), float("-inf")
    for arrival in orders.arrivals:
        event = arrival.event
        assert ("duplicate" in arrival.labels) == (event.id in seen)
        assert ("out_of_order" in arrival.labels) == (event.timestamp < newest)
        assert ("poison" in arrival.labels) == (event.data.get("amount") == "twelve")
        seen.add(event.id)
        newest = max(newest, event.timestamp)
    late = [arrival.lateness_s for arrival in orders.labelled("late")]
    others = [arrival.lateness_s for arrival in orders.arrivals if "late" not in arrival.labels]
    assert sorted(late)[len(late) // 2] == pytest.approx(8, rel=0.25)
    assert max(others) < 3


def test_orders_can_be_made_again_line_by_line(orders):
    made = runpy.run_path(str(data.folder_of("orders") / "make.py"))
    history = made["SHOP"].run(until_s=made["UNTIL_S"], seed=made["SEED"]).history
    assert tuple(made["arrivals"](history)) == orders.arrivals


def test_flights_come_late_by_nature():
    flights = data.load("flights")
    assert Counter(event.type for event in flights)["flight.departed"] == len(flights) / 2
    lateness = sorted(arrival.lateness_s for arrival in flights.arrivals)
    assert lateness[0] < 0 < lateness[len(lateness) * 3 // 4]


def test_an_unknown_dataset_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'orders'"):
        data.load("order")
    with pytest.raises(UnknownName):
        data.load("../orders")


GOOD = json.dumps(
    {
        "arrived": "2026-01-01T00:00:01Z",
        "event": {
            "id": "shop.1",
            "type": "order.placed",
            "timestamp": "2026-01-01T00:00:00Z",
            "source": "shop",
            "data": {},
        },
    }
)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "no arrival"),
        ('{"arrived": "2026-01-01T00:00:01Z"}', "no arrival"),
        (GOOD.replace("2026-01-01T00:00:01Z", "yesterday"), "yesterday"),
        (GOOD.replace("order.placed", "placed"), "type"),
        (GOOD.replace('"id": "shop.1", ', ""), "id is missing"),
        (GOOD[:-1] + ', "labels": ["wrong"]}', "labels"),
        (GOOD[:-1] + ', "label": []}', "did you mean 'labels'"),
        (GOOD.replace("2026-01-01T00:00:01Z", "2025-01-01T00:00:01Z"), "sort by"),
    ],
)
def test_a_broken_line_is_named_with_its_reason_and_nothing_is_loaded(tmp_path, line, reason):
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{line}\n{GOOD}\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"mine\.jsonl, line 2: ") as refused:
        data.read(path)
    assert reason in str(refused.value)
    assert "nothing was loaded" in str(refused.value)


def test_a_packed_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "mine.jsonl.gz"
    path.write_bytes(gzip.compress((GOOD + "\n").encode() * 100)[:-20])
    with pytest.raises(BadFile, match="cut short"):
        data.read(path)
    path.write_bytes(b"not packed")
    with pytest.raises(BadFile, match="not packed"):
        data.read(path)


def test_a_publisher_replays_a_dataset_as_it_arrived(orders):
    from evsim.lab.scenario import Scenario
    from evsim.sim.broker.log import Log
    from evsim.sim.publisher import Publisher

    run = Scenario(Publisher("again", to="orders", replay="orders", count=500), Log("orders")).run(until_s=60, seed=1)
    stored = [record.event_id for record in run.history.of("stored")]
    assert stored == [event.id for event in orders.events[:500]]
    first = orders.arrivals[0].arrived
    assert run.history.of("stored")[499].time == pytest.approx(orders.arrivals[499].arrived - first, abs=1e-6)
