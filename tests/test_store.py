"""The event stores, held to one contract: versions, positions, conflicts, retries, hiding, chains, and bad input."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from itertools import islice

import pytest
from databases import new_schema, server
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import BadEvent, BadFile, Event, store
from evsim.store import ANY, EXISTS, NONE, Conflict

KINDS = ["memory", "sqlite", "postgres"]


def opened(kind, path):
    if kind == "postgres":
        return store.open(server().get_uri(), schema=new_schema())
    return store.open(path / "shop.db") if kind == "sqlite" else store.open()


@pytest.fixture(params=KINDS)
def shop(request, tmp_path):
    with opened(request.param, tmp_path) as found:
        yield found


def event(n, **more):
    return Event(f"shop.{n}", "order.placed", n / 4, "shop", {"n": n}, **more)


def events(*numbers, **more):
    return [event(n, **more) for n in numbers]


def ids(found):
    return [each.event.id for each in found]


# ---------------------------------------------------------------- append and read


def test_versions_count_in_a_stream_and_positions_in_all(shop):
    assert shop.append("order-1", events(1, 2)) == (2, 1, False)
    assert shop.append("order-2", event(3)) == (3, 0, False)
    assert shop.append("order-1", event(4)) == (4, 2, False)
    assert [(r.position, r.stream, r.version) for r in shop.read_all()] == [
        (1, "order-1", 0), (2, "order-1", 1), (3, "order-2", 0), (4, "order-1", 2),
    ]  # fmt: skip
    assert ids(shop.read("order-1")) == ["shop.1", "shop.2", "shop.4"]
    assert shop.version("order-1") == 2
    assert shop.version("order-9") == -1
    assert shop.position == 4


def test_what_is_read_is_what_was_written(shop):
    whole = Event(
        "shop.1", "order.placed", 12.5, "shop", {"a": [1, {"b": None}]}, version=3, key="order-1",
        correlation_id="talk-1", causation_id="shop.0",
    )  # fmt: skip
    shop.append("order-1", whole)
    assert [each.event for each in shop.read("order-1")] == [whole]


def test_reading_goes_both_ways_from_anywhere_and_as_far_as_asked(shop):
    shop.append("order-1", events(*range(10)))
    assert ids(shop.read("order-1", 7)) == ["shop.7", "shop.8", "shop.9"]
    assert ids(shop.read("order-1", 3, 2)) == ["shop.3", "shop.4"]
    assert ids(shop.read("order-1", backwards=True, limit=2)) == ["shop.9", "shop.8"]
    assert ids(shop.read("order-1", 1, backwards=True)) == ["shop.1", "shop.0"]
    assert ids(shop.read_all(9)) == ["shop.8", "shop.9"]
    assert ids(shop.read_all(2, backwards=True)) == ["shop.1", "shop.0"]
    assert ids(shop.read("order-1", limit=0)) == []


def test_categories_and_conversations_cross_the_streams(shop):
    shop.append("order-1", event(1, correlation_id="a"))
    shop.append("bill-1", event(2, correlation_id="a"))
    shop.append("order-2", event(3, correlation_id="b"))
    assert ids(shop.read_category("order")) == ["shop.1", "shop.3"]
    assert ids(shop.read_category("order", 2)) == ["shop.3"]
    assert ids(shop.read_correlated("a")) == ["shop.1", "shop.2"]


def test_a_category_ends_at_the_first_dash(shop):
    for n, stream in enumerate(("order", "order-", "order-1", "order-1-x", "orders-1", "order.1")):
        shop.append(stream, event(n))
    assert ids(shop.read_category("order")) == ["shop.0", "shop.1", "shop.2", "shop.3"]
    assert ids(shop.read_category("order.1")) == ["shop.5"]
    with pytest.raises(BadEvent, match="what stands before the first dash"):
        shop.read_category("order-1")


# ---------------------------------------------------------------- what a writer believes


@pytest.mark.parametrize(
    ("there", "expected", "fits"),
    [
        (0, ANY, True), (0, NONE, True), (0, EXISTS, False), (0, 0, False),
        (2, ANY, True), (2, NONE, False), (2, EXISTS, True), (2, 1, True), (2, 0, False), (2, 2, False),
    ],
)  # fmt: skip
def test_an_append_needs_the_stream_where_its_writer_believes_it(shop, there, expected, fits):
    if there:
        shop.append("order-1", events(*range(there)))
    if fits:
        assert shop.append("order-1", event(99), expected).version == there
        return
    with pytest.raises(Conflict) as refused:
        shop.append("order-1", event(99), expected)
    assert refused.value.actual == there - 1
    assert str(expected) in str(refused.value)
    assert shop.position == there, "nothing was written"


def test_an_append_that_is_repeated_is_taken_once(shop):
    first = shop.append("order-1", events(1, 2), NONE)
    again = shop.append("order-1", events(1, 2), NONE)
    assert again == (first.position, first.version, True)
    assert shop.position == 2


@pytest.mark.parametrize("stream", ["order-1", "order-2"])
def test_an_id_that_is_used_for_something_else_is_refused(shop, stream):
    shop.append("order-1", events(1, 2))
    other = Event("shop.2", "order.paid", 1.0, "shop", {})
    for wrong in ([other], [event(3), other], [event(2), event(1)]):
        with pytest.raises(BadEvent, match="is taken"):
            shop.append(stream, wrong)
    assert shop.position == 2


# ---------------------------------------------------------------- hide, describe, audit


def test_what_is_truncated_or_deleted_is_hidden_and_versions_go_on(shop):
    shop.append("order-1", events(1, 2, 3))
    shop.append("order-2", event(4))
    shop.truncate("order-1", 2)
    assert ids(shop.read("order-1")) == ["shop.3"]
    assert ids(shop.read_all()) == ["shop.3", "shop.4"]
    assert ids(shop.read("order-1", backwards=True)) == ["shop.3"]
    shop.delete("order-1")
    assert ids(shop.read("order-1")) == []
    assert shop.append("order-1", event(5), 2).version == 3
    assert ids(shop.read("order-1")) == ["shop.5"]
    assert shop.verify() == 5, "the chain holds what is hidden too"


def test_an_event_is_found_by_its_id_also_when_it_is_hidden(shop):
    shop.append("order-1", events(1, 2))
    shop.delete("order-1")
    found = shop.find("shop.2")
    assert (found.position, found.stream, found.version, found.event) == (2, "order-1", 1, event(2))
    assert shop.find("shop.9") is None


def test_streams_have_metadata(shop):
    assert shop.metadata("order-1") == {}
    shop.describe("order-1", {"owner": "ann"})
    shop.describe("order-1", {"owner": "bob", "days": 30})
    assert shop.metadata("order-1") == {"owner": "bob", "days": 30}


@pytest.mark.parametrize(
    "crime",
    [
        "update events set body = replace(body, '\"n\":2', '\"n\":9') where position = 2",
        "delete from events where position = 2",
        "update events set stream = 'order-9' where position = 2",
        "update events set version = 99 where position = 2",
    ],
)
def test_who_changes_a_stored_event_is_found_out(tmp_path, crime):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("order-1", events(1, 2, 3))
        assert shop.verify() == 3
    thief = sqlite3.connect(tmp_path / "shop.db")
    assert thief.execute(crime).rowcount == 1
    thief.commit()
    thief.close()
    with store.open(tmp_path / "shop.db") as shop, pytest.raises(BadFile, match="breaks at position 2"):
        shop.verify()


def test_who_keeps_the_head_notices_that_the_end_is_missing(shop):
    assert shop.head == (0, "00" * 32)
    assert shop.verify(shop.head) == 0
    shop.append("order-1", events(1, 2))
    early = shop.head
    shop.append("order-1", event(3))
    shop.delete("order-1")
    assert early.position == 2
    assert shop.head.position == shop.verify(early) == shop.verify(shop.head) == 3
    with pytest.raises(BadFile, match="ends at position 3, and the head that was kept is at 4"):
        shop.verify(shop.head._replace(position=4))
    with pytest.raises(BadFile, match="at position 2 stands another chain"):
        shop.verify(early._replace(link="ff" * 32))


@pytest.mark.parametrize(
    ("crime", "said"),
    [("delete from events where position = 3", "ends at position 2"), ("", "at position 3 stands another chain")],
)
def test_without_a_head_a_cut_off_end_or_a_new_chain_look_right(tmp_path, crime, said):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("order-1", events(1, 2, 3))
        head = shop.head
    if crime:
        thief = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        thief.execute(crime)
        thief.close()
    file = tmp_path / ("shop.db" if crime else "forged.db")
    with store.open(file) as shop:
        if not crime:
            shop.append("order-1", events(1, 2, 4))
        assert shop.verify() == (2 if crime else 3)
        with pytest.raises(BadFile, match=said):
            shop.verify(head)


# ---------------------------------------------------------------- whatever is done to them, they agree


acts = st.one_of(
    st.tuples(
        st.just("append"), st.sampled_from("abc"), st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True),
        st.sampled_from([ANY, NONE, EXISTS, 0, 1, 4]),
    ),
    st.tuples(st.just("truncate"), st.sampled_from("abc"), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.sampled_from("abc")),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(acts, max_size=25))
def test_all_stores_do_the_same(tmp_path_factory, plan):
    with ExitStack() as house:
        stores = [house.enter_context(opened(kind, tmp_path_factory.mktemp("store"))) for kind in KINDS]
        for act, stream, *how in plan:
            said = []
            for each in stores:
                try:
                    given = [events(*how[0]), *how[1:]] if act == "append" else how
                    said.append(getattr(each, act)(stream, *given))
                except (Conflict, BadEvent) as problem:
                    said.append(str(problem))
            assert said == said[:1] * len(stores)
        first, *others = stores
        for each in others:
            agree(first, each)


def agree(first, second):
    """Two stores hold the same, link by link."""
    assert list(first.read_all()) == list(second.read_all())
    assert list(first.read_all(backwards=True)) == list(second.read_all(backwards=True))
    for stream in "abc":
        assert list(first.read(stream)) == list(second.read(stream))
        assert first.version(stream) == second.version(stream)
        assert list(first.read_category(stream)) == list(second.read_category(stream))
    assert first.verify() == second.verify() == first.position == second.position
    assert list(first._links()) == list(second._links())


# ---------------------------------------------------------------- processes


WRITER = """
import sys
from evsim import Event, store
from evsim.store import sqlite
sqlite.BEHIND = 7
name, count, schema = sys.argv[2], int(sys.argv[3]), sys.argv[4] or None
shop = store.open(sys.argv[1], schema=schema)
for n in range(count):
    done = shop.append("hot", [Event(f"{name}.{n}-{k}", "order.placed", n, "shop", {}) for k in (1, 2, 3)])
    print(n, done.position, flush=True)
"""


def places(path):
    """Where stores that outlive a process can be: ``store.open`` takes each of them."""
    return {"sqlite": (path / "shop.db", None), "postgres": (server().get_uri(), new_schema())}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    found = places(tmp_path)[request.param]
    store.open(found[0], schema=found[1]).close()
    return found


def writer(place, name, count):
    line = [sys.executable, "-c", WRITER, str(place[0]), name, str(count), place[1] or ""]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_into_one_stream(place):
    both = [writer(place, name, 100) for name in ("ann", "bob")]
    for each in both:
        each.communicate(timeout=60)
        assert each.returncode == 0
    with store.open(place[0], schema=place[1]) as shop:
        found = list(shop.read("hot"))
        assert [each.version for each in found] == list(range(600))
        assert [each.position for each in found] == list(range(1, 601))
        assert shop.verify() == 600
        for name in ("ann", "bob"):
            mine = [each.event.id for each in found if each.event.id.startswith(name)]
            assert mine == [f"{name}.{n}-{k}" for n in range(100) for k in (1, 2, 3)]


def test_a_process_that_is_killed_loses_nothing_acknowledged_and_leaves_no_half(place):
    """Twelve times kill -9 at another moment of a stream of appends of three events each."""
    told = 0
    for life in range(12):
        with writer(place, f"life{life}", 100_000) as victim:
            lines = list(islice(victim.stdout, 3 + 7 * life))
            time.sleep(0.001 * life)
            victim.kill()
            lines += victim.stdout.readlines()
        told += len([line for line in lines if line.endswith("\n")])
        with store.open(place[0], schema=place[1]) as shop:
            kept = list(shop.read("hot"))
            assert len(kept) % 3 == 0, "an append is whole or absent"
            assert len(kept) // 3 >= told, "what was acknowledged is there"
            told = len(kept) // 3
            assert shop.verify() == len(kept)


# ---------------------------------------------------------------- much


def test_many_events_are_read_piece_by_piece(tmp_path):
    with store.open(tmp_path / "big.db", durability="none") as shop:
        for start in range(0, 30_000, 5000):
            shop.append("log", events(*range(start, start + 5000)))
        assert sum(1 for _ in shop.read_all()) == 30_000
        assert [each.version for each in islice(shop.read("log", 12_345), 2)] == [12_345, 12_346]
        assert len(list(shop.read("log", limit=2500, backwards=True))) == 2500


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb", None, 7])
def test_a_name_that_is_none_is_refused(shop, name):
    with pytest.raises(BadEvent, match="no name of a stream"):
        shop.append(name, event(1))


def test_sql_in_a_name_is_a_name(shop):
    name = "x'; drop table events; --"
    shop.append(name, event(1))
    assert ids(shop.read(name)) == ["shop.1"]
    assert ids(shop.read_category("' or 1=1 /*")) == []
    assert shop.verify() == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "0 events"),
        (["x"], "no event"),
        ([event(1), event(1)], "same id"),
        ([Event("shop.1", "order.placed", 0, "shop", {"text": "x" * (1 << 20)})], "expected at most"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(shop, wrong, said):
    with pytest.raises(BadEvent, match=said):
        shop.append("order-1", wrong)
    assert shop.position == 0


@pytest.mark.parametrize("expected", ["sure", -1, True, 1.5, None, ["any"]])
def test_what_nobody_can_believe_is_refused(shop, expected):
    with pytest.raises(BadEvent, match="is refused"):
        shop.append("order-1", event(1), expected)


@pytest.mark.parametrize("wrong", [None, 7, "\0", "\ud800"])
def test_what_cannot_be_asked_for_is_refused(shop, wrong):
    for ask in (shop.find, shop.read_category, shop.read_correlated):
        with pytest.raises(BadEvent, match="expected"):
            ask(wrong)
    with pytest.raises(BadEvent, match=r"expected an ev\.Event|no event"):
        shop.append("order-1", wrong)


@pytest.mark.parametrize("metadata", [5, {"n": float("nan")}, {"n": {1, 2}}, None])
def test_metadata_that_json_cannot_hold_is_refused(shop, metadata):
    with pytest.raises(BadEvent, match="metadata"):
        shop.describe("order-1", metadata)
    assert shop.metadata("order-1") == {}


@pytest.mark.parametrize("before", ["x", 1.5, None, True])
def test_a_stream_is_cut_at_a_whole_number(shop, before):
    shop.append("order-1", events(1, 2))
    with pytest.raises(BadEvent, match="no version"):
        shop.truncate("order-1", before)
    assert ids(shop.read("order-1")) == ["shop.1", "shop.2"]


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("milk, bread and a lot of other things that are no database at all" * 9)
    with pytest.raises(BadFile, match="is no event store"):
        store.open(text)
    assert text.read_text().startswith("milk")
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("create table t (x)")
    db.commit()
    db.close()
    with pytest.raises(BadFile, match="database of something else"):
        store.open(other)


def test_a_torn_file_says_so(tmp_path):
    path = tmp_path / "shop.db"
    with store.open(path) as shop:
        for start in range(0, 3000, 500):
            shop.append("order-1", events(*range(start, start + 500)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile), store.open(path) as shop:
        shop.verify()


def test_the_file_can_be_read_with_sql(tmp_path):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("order-1", Event("shop.1", "order.placed", "2026-02-03T04:05:06.789Z", "shop", {"n": 1}))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as reader:
        found = reader.execute("select stream, type, timestamp, data from readable").fetchone()
    assert found == ("order-1", "order.placed", "2026-02-03T04:05:06.789Z", '{"n":1}')


@pytest.mark.parametrize("data", ["5", "nonsense", '{"n":1e999}', '{"n":NaN}', '{"n":12345678901234567890123}'])
def test_what_is_no_event_any_more_is_refused_with_its_position(tmp_path, data):
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("order-1", events(1, 2))
    thief = sqlite3.connect(tmp_path / "shop.db")
    thief.execute("update events set body = replace(body, '{\"n\":2}', ?) where position = 2", (data,))
    thief.commit()
    thief.close()
    with store.open(tmp_path / "shop.db") as shop, pytest.raises(BadFile, match="position 2 holds no event"):
        list(shop.read("order-1"))
