"""A store's events in files: round trips, and files that are wrong."""

from __future__ import annotations

import json
import os

import pytest

from evsim import BadEvent, BadFile, Event, store
from evsim.store import MemoryStore
from evsim.store.files import (
    BATCH_MAX,
    PIECE,
    Found,
    read_cloudevents,
    read_jsonlines,
    take,
    write_cloudevents,
    write_jsonlines,
)


@pytest.fixture
def shop():
    found = store.open()
    for n in range(6):
        who = f"order-{n % 2}"
        event = Event(f"shop.{n}", "order.placed", n / 4, "shop", {"n": n, "ö": [None]}, version=2, key=who)
        found.append(who, event)
    return found


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_store_comes_back_from_its_lines(shop, tmp_path, kind):
    path = tmp_path / "shop.jsonl"
    assert write_jsonlines(shop, path) == 6
    with store.open(tmp_path / "copy.db") if kind == "sqlite" else store.open() as copy:
        assert read_jsonlines(copy, path) == 6
        assert list(copy.read_all()) == list(shop.read_all())
        assert read_jsonlines(copy, path) == 6, "reading it again changes nothing"
        assert copy.position == 6


def test_one_stream_alone_can_be_written(shop, tmp_path):
    assert write_jsonlines(shop, tmp_path / "one.jsonl", "order-1") == 3
    lines = (tmp_path / "one.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["version"] for line in lines] == [0, 1, 2]


def test_a_stream_comes_back_from_a_batch_of_cloudevents(shop, tmp_path):
    path = tmp_path / "shop.json"
    assert write_cloudevents(shop, path, "order-1") == 3
    assert json.loads(path.read_text(encoding="utf-8"))[0]["specversion"] == "1.0"
    copy = store.open()
    assert read_cloudevents(copy, path, "order-1") == 3
    assert [each.event for each in copy.read("order-1")] == [each.event for each in shop.read("order-1")]
    with pytest.raises(BadFile, match=r"event 1: .*is taken"):
        read_cloudevents(shop, path, "order-0")
    assert shop.position == 6


def test_a_second_batch_goes_behind_the_first_and_each_is_taken_once(shop, tmp_path):
    path, copy = tmp_path / "shop.json", store.open()
    write_cloudevents(shop, path, "order-1")
    read_cloudevents(copy, path, "order-1")
    for _ in range(2):
        assert read_cloudevents(copy, _renamed(path), "order-1") == 3
    assert [each.event.id for each in copy.read("order-1")] == [
        "shop.1", "shop.3", "shop.5", "app.1", "app.3", "app.5",
    ]  # fmt: skip


def test_a_batch_may_be_longer_than_one_append(tmp_path):
    shop, copy = store.open(), store.open()
    for start in (0, 6000):
        shop.append("a", [an_event(n) for n in range(start, start + 6000)])
    write_cloudevents(shop, tmp_path / "shop.json", "a")
    assert read_cloudevents(copy, tmp_path / "shop.json", "a") == copy.position == 12_000


def an_event(n, **data):
    return Event(f"shop.{n}", "order.placed", 0, "shop", data)


def _renamed(path):
    """The same batch with other ids."""
    path.write_text(path.read_text(encoding="utf-8").replace('"id": "shop.', '"id": "app.'), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2"),
        ("[]", "line 2: expected"),
        ('{"stream": "a", "version": 0}', "line 2: expected"),
        ('{"stream": "", "version": 0, "event": {}}', "line 2: .*no name of a stream"),
        ('{"stream": "a", "version": 0, "event": {"id": "x"}}', "line 2: .*missing"),
        ("x" * (1 << 21), "line 2: longer"),
        ('{"stream": "order-0", "version": "banana", "event": {}}', "line 2: version 'banana' is no version"),
        ('{"stream": "order-0", "version": -7, "event": {}}', "line 2: version -7 is no version"),
        ('{"stream": "order-0", "version": true, "event": {}}', "line 2: version True is no version"),
        ('{"stream": "order-0", "version": 2, "event": {}}', "line 2: version 2 .* comes after version 0"),
        ('{"stream": "order-0", "version": 0, "event": {}}', "line 2: version 0 .* comes after version 0"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_taken(shop, tmp_path, line, said):
    path = tmp_path / "bad.jsonl"
    write_jsonlines(shop, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], line, *lines[1:]]), encoding="utf-8")
    copy = store.open()
    with pytest.raises(BadFile, match=said):
        read_jsonlines(copy, path)
    assert copy.position == 0


def a_line(stream, name, version=0, **data):
    event = {"id": name, "type": "order.placed", "timestamp": 0, "source": "shop", "data": data}
    return json.dumps({"stream": stream, "version": version, "event": event}, separators=(",", ":"))


MANY = [a_line("a", f"new.{n}", n) for n in range(PIECE + 100)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([a_line("b", "z"), a_line("a", "x"), a_line("a", "x", 1)], "line 3: .*'x' stands twice"),
        ([*MANY, a_line("a", "shop.1", len(MANY))], f"line {len(MANY) + 1}: .*is taken"),
        ([a_line("order-1", "shop.1")], "line 1: .*is taken"),
        ([a_line("b", "z"), a_line("order-1", "y", 7), a_line("order-1", "kept", 8)], "line 3: .*not behind"),
        ([a_line("b", "z"), a_line("order-1", "kept", 0), a_line("order-1", "first", 1)], "line 3: .*not behind"),
        ([a_line("b", "z"), a_line("b", "large", 1, text="x" * ((1 << 20) - 50))], "line 2: .*at most 1,048,576"),
    ],
)
def test_a_file_that_the_store_would_refuse_halfway_is_refused_before(shop, tmp_path, lines, said):
    shop.append("order-1", [Event(name, "order.placed", 0, "shop", {}) for name in ("first", "kept")])
    (tmp_path / "shop.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(BadFile, match=said):
        read_jsonlines(shop, tmp_path / "shop.jsonl")
    assert shop.position == 8


def test_a_file_that_has_grown_gives_only_what_is_new(tmp_path):
    source, lines, batch, path = store.open(), store.open(), store.open(), tmp_path / "shop"
    for start, end in ((0, 600), (600, 900), (900, 901)):
        source.append("a", [an_event(n) for n in range(start, end)])
        assert write_jsonlines(source, path) == read_jsonlines(lines, path) == end
        assert write_cloudevents(source, path) == read_cloudevents(batch, path, "a") == end
        assert list(lines.read_all()) == list(batch.read_all()) == list(source.read_all())


def test_a_copy_may_begin_where_its_stream_was_truncated_and_go_on_elsewhere(shop, tmp_path):
    copy = store.open()
    copy.append("order-1", an_event("own"))
    for before in (1, 2):
        shop.truncate("order-1", before)
        write_jsonlines(shop, tmp_path / "shop.jsonl", "order-1")
        read_jsonlines(copy, tmp_path / "shop.jsonl")
    assert [each.event.id for each in copy.read("order-1")] == ["shop.own", "shop.3", "shop.5"]


@pytest.mark.parametrize("data", [{"t": [1] * 400_000}, {"t": "x" * ((1 << 20) - 90)}, {"t": [1e-7] * 200_000}])
def test_what_fits_the_store_comes_back_from_its_file(tmp_path, data):
    shop = store.open()
    shop.append("\\" * 200, an_event(1, **data))
    for write, read in (
        (write_jsonlines, read_jsonlines),
        (write_cloudevents, lambda copy, path: read_cloudevents(copy, path, "\\" * 200)),
    ):
        copy = store.open()
        write(shop, tmp_path / "shop")
        assert read(copy, tmp_path / "shop") == 1
        assert list(copy.read_all()) == list(shop.read_all())


def test_of_a_long_stream_only_a_piece_is_held():
    given, ahead = [], []

    class Watching(MemoryStore):
        def append(self, stream, events, expected="any"):
            ahead.append(len(given) - 2 * PIECE - self.position)
            return super().append(stream, events, expected)

    def read():
        for n in range(2 * PIECE):
            given.append(n)
            yield Found(f"line {n}", "a", an_event(n))

    assert take(Watching(), read) == 2 * PIECE
    assert max(ahead) <= PIECE + 1


@pytest.mark.parametrize("write", [write_jsonlines, write_cloudevents])
def test_an_export_that_fails_leaves_the_old_file(shop, tmp_path, write):
    class Torn(MemoryStore):
        def read_all(self):
            yield from shop.read_all(limit=3)
            raise BadFile("position 4 holds no event any more")

    path = tmp_path / "backup"
    write(shop, path)
    before = path.read_bytes()
    with pytest.raises(BadEvent, match="no name of a stream"):
        write(shop, path, "a\nb")
    with pytest.raises(BadFile, match="position 4"):
        write(Torn(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_jsonlines, write_cloudevents])
def test_a_pipe_and_a_link_are_written_as_they_are(shop, tmp_path, write):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert write(shop, tmp_path / "pipe") == write(shop, tmp_path / "link") == 6
    assert os.read(reader, 1 << 16) == (tmp_path / "file").read_bytes()
    assert (tmp_path / "link").is_symlink()
    os.close(reader)


@pytest.mark.parametrize("read", [read_jsonlines, lambda copy, path: read_cloudevents(copy, path, "order-1")])
def test_only_a_regular_file_is_read(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", "/dev/zero", tmp_path / ("x" * 300)):
        with pytest.raises(BadFile, match="cannot be read"):
            read(store.open(), path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no batch"),
        ("[1]", "event 1"),
        ("[", "not JSON"),
        ("[" * 200_000, "nested deeper"),
        ('[{"extension": 1, "extension": 2}]', "stands twice"),
        ('[{"extension": NaN}]', "NaN is not a JSON number"),
        (" " * (BATCH_MAX + 1), "split the batch"),
    ],
)
def test_a_batch_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "bad.json").write_text(text)
    copy = store.open()
    with pytest.raises(BadFile, match=said):
        read_cloudevents(copy, tmp_path / "bad.json", "order-1")
    assert copy.position == 0
