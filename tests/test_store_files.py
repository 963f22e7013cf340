"""A store's events in files: round trips, and files that are wrong."""

from __future__ import annotations

import json

import pytest

from evsim import BadEvent, BadFile, Event, store
from evsim.store import Conflict
from evsim.store.files import read_cloudevents, read_jsonlines, write_cloudevents, write_jsonlines


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
    with pytest.raises(BadEvent, match="is taken"):
        read_cloudevents(shop, path, "order-0")
    copy.append("order-2", Event("shop.9", "order.placed", 0, "shop", {}))
    with pytest.raises(Conflict):
        read_cloudevents(copy, _renamed(path), "order-2")
    assert copy.position == 4


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


@pytest.mark.parametrize(("text", "said"), [("{}", "no batch"), ("[1]", "event 1"), ("[", "no JSON")])
def test_a_batch_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "bad.json").write_text(text)
    copy = store.open()
    with pytest.raises(BadFile, match=said):
        read_cloudevents(copy, tmp_path / "bad.json", "order-1")
    assert copy.position == 0
