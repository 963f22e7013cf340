import copy
import dataclasses
import json
import math
import pickle
import time
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import events, payloads, texts, timestamps, types

from evsim.errors import BadEvent
from evsim.event import ATTRIBUTES, CHECKS, DEPTH_MAX, JSON_BYTES_MAX, Event, seconds_of, to_rfc3339
from evsim.kinds import crosses_boundary, has_one_handler, kind_of

GOOD = {"id": "shop.3", "type": "order.placed", "timestamp": 0.412, "source": "shop", "data": {"amount": 3}}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(**changes):
    return Event(**GOOD | changes)


def refusal(act, *arguments, **settings):
    """The one sentence with which this is refused."""
    with pytest.raises(BadEvent) as refused:
        act(*arguments, **settings)
    said = str(refused.value)
    assert "\n" not in said
    assert said.splitlines() == [said]
    assert 20 < len(said) < 300
    return said


# ---------------------------------------------------------------- the envelope


def test_an_event_cannot_change_and_neither_can_its_data():
    lines = [{"sku": "tea"}]
    event = an_event(data={"lines": lines})
    lines[0]["sku"] = "coffee"
    assert event.data["lines"][0]["sku"] == "tea"
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.key = "order-3"
    with pytest.raises(TypeError):
        event.data["amount"] = 4
    with pytest.raises(TypeError):
        event.data["lines"][0]["sku"] = "milk"


def test_equal_events_are_one_in_a_set():
    assert len({an_event(), an_event(), an_event(id="shop.4")}) == 2


def test_a_changed_copy_is_checked_again():
    assert dataclasses.replace(an_event(), key="order-3") == an_event(key="order-3")
    assert refusal(dataclasses.replace, an_event(), version=0).startswith("version 0")


def test_an_event_reads_like_a_sentence():
    event = an_event(key="order-3")
    assert str(event) == repr(event) == "order.placed shop.3 at 0.412 s key order-3 {'amount': 3}"
    assert str(an_event(version=2, data={"note": "x" * 500})).startswith("order.placed v2 shop.3 at 0.412 s {'note'")
    assert len(str(an_event(data={"note": "x" * 500}))) < 160


def test_a_trusted_event_equals_a_checked_one_and_is_as_frozen():
    event = Event.trusted(*GOOD.values())
    assert type(event) is Event
    assert event == an_event()
    assert hash(event) == hash(an_event())
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.id = "shop.4"


@given(events)
def test_an_event_is_pickled_and_copied_whole(event):
    for twin in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event), dataclasses.replace(event)):
        assert twin == event
        assert repr(twin) == repr(event)


# ---------------------------------------------------------------- what the type says


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("place.order", "command"),
        ("take.payment", "command"),
        ("read.meter", "command"),
        ("order.parts", "command"),
        ("feed.cat", "command"),
        ("order.placed", "domain"),
        ("payment.taken", "domain"),
        ("meter.read", "domain"),
        ("payment.timed_out", "domain"),
        ("payment.part-paid", "domain"),
        ("payment.overdue", "domain"),
        ("shop.order.placed", "integration"),
        ("com.example.shop.order.sent", "integration"),
    ],
)
def test_the_type_says_the_kind(name, kind):
    assert kind_of(name) == an_event(type=name).kind == kind


def test_the_three_kinds_have_their_rules():
    assert [has_one_handler(kind) for kind in ("command", "domain", "integration")] == [True, False, False]
    assert [crosses_boundary(kind) for kind in ("command", "domain", "integration")] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("placed.order", "call the fact 'order.placed'"),
        ("paid.invoice", "call the fact 'invoice.paid'"),
        ("order.place", "call the fact 'order.placed' or the command 'place.order'"),
        ("order.pay", "'order.paid' or the command 'pay.order'"),
        ("customer.notify", "'customer.notified' or the command 'notify.customer'"),
        ("shop.order.place", "called like 'shop.order.placed'"),
        ("placed", "did you mean 'order.placed'?"),
        ("pay", "did you mean 'pay.order'?"),
        ("order", "did you mean 'order.created'?"),
        ("OrderPlaced", "did you mean 'order.placed'?"),
        ("order_placed", "did you mean 'order.placed'?"),
        ("Order.Placed", "did you mean 'order.placed'?"),
        ("order placed", "did you mean 'order.placed'?"),
        ("order..placed", "did you mean 'order.placed'?"),
        ("order.placed\n", "did you mean 'order.placed'?"),
        ("", "lower-case words joined by dots"),
        ("3.placed", "lower-case words joined by dots"),
        ("bestellung.aufgegebén", "lower-case words joined by dots"),
        ("a." * 150 + "placed", "at most 200"),
    ],
)
def test_a_type_that_is_neither_wish_nor_fact_is_refused_with_the_fix(name, fix):
    said = refusal(an_event, type=name)
    assert said.startswith("type ")
    assert fix in said


@given(st.text(max_size=60) | st.from_regex(r"[a-z_.-]{1,30}"))
def test_any_text_is_a_kind_or_refused_in_one_sentence(text):
    try:
        assert kind_of(text) in {"command", "domain", "integration"}
    except BadEvent:
        assert refusal(kind_of, text).startswith("type ")


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (0, 0.0),
        (-1, -1.0),
        (NOON, 43200.0),
        (datetime(2026, 1, 1, 13, 30, tzinfo=timezone(timedelta(hours=1, minutes=30))), 43200.0),
        (datetime(2026, 1, 1, 0, 0, 0, 412000, tzinfo=UTC), 0.412),
        ("2026-01-01T00:00:00Z", 0.0),
        ("2026-01-01t00:00:00.412z", 0.412),
        ("2026-01-01 01:00:00+01:00", 0.0),
        ("2025-12-31T23:59:59.5-00:00", -0.5),
        ("2016-12-31T23:59:60Z", seconds_of("2017-01-01T00:00:00Z")),
        ("2024-02-29T00:00:00Z", -671 * 86400 - 86400.0),
    ],
)
def test_a_moment_is_taken_as_seconds_datetime_or_text(moment, seconds):
    assert an_event(timestamp=moment).timestamp == seconds
    assert type(an_event(timestamp=moment).timestamp) is float


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "2026-01-01T00:00:00.000Z"),
        (0.412, "2026-01-01T00:00:00.412Z"),
        (0.5, "2026-01-01T00:00:00.500Z"),
        (2**-30, "2026-01-01T00:00:00.0000000009313225746154785Z"),
        (-0.25, "2025-12-31T23:59:59.750Z"),
        (86399.9999999, "2026-01-01T23:59:59.9999999Z"),
    ],
)
def test_time_is_written_with_the_digits_that_it_needs(seconds, text):
    assert to_rfc3339(seconds) == text


@given(timestamps)
@example(5e-324)
@example(-5e-324)
@example(-2.2250738585072014e-308)
def test_a_timestamp_survives_its_text_exactly(seconds):
    assert seconds_of(to_rfc3339(seconds)) == seconds


@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_and_its_text_are_the_same_moment(moment):
    offset = moment.utcoffset()
    if offset.seconds % 60:  # text knows whole minutes only
        return
    try:
        seconds = seconds_of(moment)
    except BadEvent:  # its UTC year is 0 or 10000
        return
    assert seconds == seconds_of(moment.isoformat())


# ---------------------------------------------------------------- JSON


def same(one, other):
    """Equal to the last bit: 1, 1.0, True and -0.0 are four things."""
    assert one == other
    assert repr(one.to_dict()) == repr(other.to_dict())


@given(events)
def test_json_gives_back_exactly_the_event(event):
    same(Event.from_json(event.to_json()), event)
    same(Event.from_json(event.to_json().encode()), event)
    same(Event.from_dict(event.to_dict()), event)
    assert "\n" not in event.to_json()


def test_json_has_the_fields_in_the_order_of_the_guide():
    assert an_event(key="order-3").to_json() == (
        '{"id": "shop.3", "type": "order.placed", "timestamp": "2026-01-01T00:00:00.412Z", "source": "shop", '
        '"data": {"amount": 3}, "version": 1, "key": "order-3"}'
    )


LOOP = []
LOOP.append(LOOP)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


BAD = [
    ({"id": ""}, "id '' is empty"),
    ({"id": "  "}, "id '  ' is empty"),
    ({"id": None}, "id None is not text"),
    ({"id": 3}, "id 3 is not text"),
    ({"id": b"shop.3"}, "id b'shop.3' is not text"),
    ({"id": "x" * 201}, "has 201 characters; give at most 200"),
    ({"id": "shop\n3"}, "contains '\\n', a control character"),
    ({"id": "shop\x003"}, "contains '\\x00', a control character"),
    ({"id": "shop\ud800"}, "contains '\\ud800'"),
    ({"type": None}, "type None is not text; name the event like 'order.placed'"),
    ({"type": ["order", "placed"]}, "type ['order', 'placed'] is not text"),
    ({"type": "placed.order"}, "call the fact 'order.placed'"),
    ({"timestamp": True}, "timestamp True is not a moment"),
    ({"timestamp": None}, "timestamp None is not a moment; give seconds since 2026-01-01T00:00:00Z"),
    ({"timestamp": [1]}, "timestamp [1] is not a moment"),
    ({"timestamp": Fraction(1, 3)}, "timestamp Fraction(1, 3) is not a moment"),
    ({"timestamp": math.nan}, "timestamp nan is not between the years 1 and 9999"),
    ({"timestamp": math.inf}, "timestamp inf is not between the years 1 and 9999"),
    ({"timestamp": -math.inf}, "timestamp -inf is not between"),
    ({"timestamp": 10**400}, "is not between the years 1 and 9999"),
    ({"timestamp": 1e12}, "timestamp 1000000000000.0 is not between"),
    ({"timestamp": datetime(2026, 1, 1)}, "timestamp '2026-01-01T00:00:00' has no time zone"),  # noqa: DTZ001
    ({"timestamp": "yesterday"}, "timestamp 'yesterday' is not an RFC 3339 moment"),
    ({"timestamp": "2026-01-01T00:00:00"}, "is not an RFC 3339 moment with a time zone"),
    ({"timestamp": "2026-01-01"}, "write it like '2026-01-01T00:00:00.412Z'"),
    ({"timestamp": "2026-02-29T00:00:00Z"}, "is a day that no calendar has"),
    ({"timestamp": "2026-01-01T24:00:00Z"}, "is not an RFC 3339 moment"),
    ({"timestamp": "２026-01-01T00:00:00Z"}, "is not an RFC 3339 moment"),
    ({"timestamp": "0001-01-01T00:00:00+01:00"}, "is not between the years 1 and 9999"),
    ({"timestamp": "12.5"}, "timestamp '12.5' is not an RFC 3339 moment"),
    ({"source": ""}, "source '' is empty"),
    ({"source": "shop\t1"}, "source 'shop\\t1' contains '\\t'"),
    ({"data": None}, "data None is not a JSON object"),
    ({"data": [1]}, "data [1] is not a JSON object; give a mapping"),
    ({"data": "amount"}, "data 'amount' is not a JSON object"),
    ({"data": {1: 2}}, "data 1 is used as a name"),
    ({"data": {"lines": [{2: 3}]}}, "data.lines[0] 2 is used as a name"),
    ({"data": {"amount": math.nan}}, "data.amount nan is not a JSON number"),
    ({"data": {"lines": [0, {"price": math.inf}]}}, "data.lines[1].price inf is not a JSON number"),
    ({"data": {"when": NOON}}, "data.when datetime.datetime(2026, 1, 1, 12, 0, tzinfo"),
    ({"data": {"tags": {"a"}}}, "data.tags {'a'} is not JSON"),
    ({"data": {"bytes": b""}}, "data.bytes b'' is not JSON"),
    ({"data": {"text": "\udc00"}}, "data.text '\\udc00' contains half a character"),
    ({"data": {"\udc00": 1}}, "contains half a character"),
    ({"data": {"count": 2**63}}, "data.count 9223372036854775808 does not fit"),
    ({"data": {"count": 10**5000}}, "does not fit"),
    ({"data": {"loop": LOOP}}, "contains itself"),
    ({"data": {"deep": nested(DEPTH_MAX)}}, "nested deeper than 32 levels"),
    ({"version": 0}, "version 0 is not a whole number from 1"),
    ({"version": True}, "version True is not a whole number"),
    ({"version": 1.0}, "version 1.0 is not a whole number"),
    ({"version": "1"}, "version '1' is not a whole number"),
    ({"version": None}, "version None is not"),
    ({"version": 2**31}, "version 2147483648 is not"),
    ({"key": 3}, "key 3 is not text; give 1 to 200 characters such as 'order-1', or None"),
    ({"key": ""}, "key '' is empty"),
    ({"correlation_id": 3}, "correlation_id 3 is not text"),
    ({"causation_id": "a\r"}, "causation_id 'a\\r' contains '\\r'"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_a_bad_event_is_refused_with_field_value_and_fix(changes, sentence):
    said = refusal(an_event, **changes)
    assert sentence in said
    (field,) = changes
    assert field in said
    assert refusal(Event.from_dict, GOOD | changes) == said


def test_data_may_be_as_deep_as_it_says():
    assert an_event(data={"deep": nested(DEPTH_MAX - 1)})


def test_whole_numbers_of_64_bits_are_kept():
    assert an_event(data={"least": -(2**63), "most": 2**63 - 1}).data["most"] == 9223372036854775807


LINE = an_event().to_json()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "event '' is not JSON"),
        ("{", "is not JSON"),
        ("[]", "event [] is not a JSON object; give one with id, type, timestamp, source, data"),
        ("null", "event None is not a JSON object"),
        ("{}", "id is missing; every event needs id, type, timestamp, source and data"),
        (LINE[:-1], "is not JSON"),
        (LINE + LINE, "is not JSON"),
        (LINE.replace('"id"', '"Id"'), "'Id' is not a field of an event — did you mean 'id'?"),
        (LINE.replace('"version"', '"schema"'), "'schema' is not a field of an event"),
        (LINE.replace('"source": "shop", ', ""), "source is missing"),
        (LINE.replace('"version"', '"id"'), "'id' stands twice in one JSON object; keep one"),
        (LINE.replace('"amount": 3', '"amount": 3, "amount": 4'), "'amount' stands twice"),
        (LINE.replace("3}", "NaN}"), "NaN is not a JSON number"),
        (LINE.replace("3}", "1e999}"), "data.amount inf is not a JSON number"),
        (LINE.replace("3}", "9" * 5000 + "}"), "is not JSON"),
        (LINE.replace("3}", '"\\ud800"}'), "data.amount '\\ud800' contains half a character"),
        (LINE.replace("3}", "[" * 100_000 + "]" * 100_000 + "}"), "nested deeper than 32 levels"),
        (LINE.replace("3}", "[" * 100 + "]" * 100 + "}"), "nested deeper than 32 levels"),
        (LINE.replace("3}", " " * JSON_BYTES_MAX + "3}"), "too large"),
        (LINE.replace("shop.3", "é" * (JSON_BYTES_MAX // 2)), "too large"),
        (LINE.encode("utf-16"), "is not UTF-8"),
        (LINE.replace("shop.3", "\ud800"), "is not UTF-8"),
        (3, "event 3 is not JSON text"),
    ],
)
def test_json_that_holds_no_event_is_refused(text, sentence):
    assert sentence in refusal(Event.from_json, text)


def test_of_many_names_the_one_that_stands_twice_is_found_at_once():
    names = ", ".join(f'"{n}": 1' for n in (*range(50_000), 49_999))
    before = time.process_time()
    assert "'49999' stands twice" in refusal(Event.from_json, f"{{{names}}}")
    assert time.process_time() - before < 5


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
    max_leaves=6,
)


@given(st.sampled_from(list(CHECKS)), ANYTHING)
def test_any_value_makes_an_event_or_a_sentence_that_names_the_field(field, value):
    try:
        event = an_event(**{field: value})
    except BadEvent:
        assert field in refusal(an_event, **{field: value})
    else:
        same(Event.from_json(event.to_json()), event)


@given(
    st.binary(max_size=50)
    | st.text(max_size=50)
    | ANYTHING.map(lambda value: json.dumps(value, default=str, skipkeys=True))
)
def test_any_text_is_an_event_or_refused_in_one_sentence(text):
    refusal(Event.from_json, text)
    refusal(Event.from_cloudevent, text)


@given(st.data(), events)
def test_damaged_json_is_never_another_error(data, event):
    line = event.to_json()
    at = data.draw(st.integers(0, len(line)))
    damaged = line[:at] + data.draw(st.text(max_size=3)) + line[at + data.draw(st.integers(0, 3)) :]
    try:
        Event.from_json(damaged)
    except BadEvent:
        refusal(Event.from_json, damaged)


# ---------------------------------------------------------------- CloudEvents


def test_a_cloudevent_has_the_names_of_its_standard():
    event = an_event(key="order-3", correlation_id="order-3", causation_id="web.1", version=2)
    assert event.to_cloudevent() == {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "id": "shop.3",
        "type": "order.placed",
        "time": "2026-01-01T00:00:00.412Z",
        "source": "shop",
        "data": {"amount": 3},
        "dataversion": 2,
        "partitionkey": "order-3",
        "correlationid": "order-3",
        "causationid": "web.1",
    }


@given(events)
def test_a_cloudevent_gives_back_exactly_the_event(event):
    same(Event.from_cloudevent(event.to_cloudevent()), event)
    same(Event.from_cloudevent(json.dumps(event.to_cloudevent())), event)


@given(events)
def test_the_cloudevents_package_reads_ours_and_we_read_what_it_writes(event):
    document = event.to_cloudevent()
    theirs = JSONFormat().read(CloudEvent, json.dumps(document))
    assert theirs.get_id() == event.id
    assert theirs.get_type() == event.type
    assert theirs.get_data() == document["data"]
    for attribute in ("dataversion", "partitionkey", "correlationid", "causationid"):
        assert theirs.get_extension(attribute) == document.get(attribute)
    back = Event.from_cloudevent(JSONFormat().write(theirs))
    # Their time is a datetime, which knows microseconds.
    assert back.timestamp == pytest.approx(event.timestamp, rel=0, abs=2e-6 + 1e-15 * abs(event.timestamp))
    same(dataclasses.replace(back, timestamp=event.timestamp), event)


@given(texts, types, payloads, st.datetimes(timezones=st.just(UTC)))
def test_we_read_what_others_write_with_the_package(name, what, data, time):
    attributes = {"id": name, "source": "https://example.com:8080/shop?x=1#top", "type": what, "time": time}
    theirs = CloudEvent(attributes | {"subject": "order 3", "traceparent": "00-1-2-01"}, data)
    event = Event.from_cloudevent(JSONFormat().write(theirs))
    assert event == Event(name, what, time, attributes["source"], data)
    assert event.to_cloudevent()["source"] == attributes["source"]


SOURCES = texts | st.text("ab1:/?#[]@%&. é", min_size=1, max_size=12).filter(str.strip)


@given(SOURCES)
@example("//a:b")
@example("1:2")
@example("shop floor #2 #3")
@example("100%")
@example("http://[::1]:80/x")
def test_any_source_becomes_a_uri_reference_and_comes_back(source):
    validator = pytest.importorskip("rfc3986_validator")
    document = an_event(source=source).to_cloudevent()
    assert validator.validate_rfc3986(document["source"], rule="URI_reference")
    assert Event.from_cloudevent(document).source == source


@pytest.mark.parametrize(
    "source", ["shop", "/shop/1", "https://example.com:8080/a/b?c=d", "urn:shop:1", "mailto:a@b.c"]
)
def test_a_source_that_is_a_uri_reference_stays_as_it_is(source):
    assert an_event(source=source).to_cloudevent()["source"] == source


def test_a_cloudevent_without_data_has_none():
    document = an_event().to_cloudevent()
    for nothing in ({key: value for key, value in document.items() if key != "data"}, document | {"data": None}):
        assert dict(Event.from_cloudevent(nothing).data) == {}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"specversion": "0.3"}, "specversion '0.3' is not a version that evsim reads"),
        ({"specversion": None}, "specversion None"),
        ({"id": None}, "id is missing"),
        ({"source": None}, "source is missing"),
        ({"source": ""}, "source '' is empty"),
        ({"source": 3}, "source 3 is not text"),
        ({"source": "%00"}, "source '\\x00' contains"),
        ({"type": None}, "type is missing"),
        ({"type": "com.example.someevent"}, "does not end with a past participle"),
        ({"time": None}, "time is missing; add when it happened, such as"),
        ({"time": "now"}, "time 'now' is not an RFC 3339 moment"),
        ({"data": [1]}, "data [1] is not a JSON object"),
        ({"data": "<x/>"}, "data '<x/>' is not a JSON object"),
        ({"data_base64": "AA=="}, "data_base64 holds bytes"),
        ({"datacontenttype": "text/xml"}, "datacontenttype 'text/xml' is not JSON"),
        ({"datacontenttype": 3}, "datacontenttype 3 is not JSON"),
        ({"dataversion": 0}, "dataversion 0 is not a whole number"),
        ({"dataversion": "2"}, "dataversion '2' is not a whole number"),
        ({"partitionkey": 3}, "partitionkey 3 is not text"),
        ({"correlationId": "x"}, "'correlationId' is not a CloudEvents attribute"),
        ({"correlationId": "x"}, "did you mean 'correlationid'?"),
        ({"timestamp": 3, "time": None}, "time is missing"),
    ],
)
def test_a_bad_cloudevent_is_refused_in_its_own_words(changes, sentence):
    document = an_event().to_cloudevent() | changes
    assert sentence in refusal(Event.from_cloudevent, document)
    assert sentence in refusal(Event.from_cloudevent, json.dumps(document))


@given(st.sampled_from(list(ATTRIBUTES.values())), ANYTHING.filter(lambda value: value is not None))
def test_any_attribute_makes_an_event_or_a_sentence_that_names_it(attribute, value):
    document = an_event().to_cloudevent() | {attribute: value}
    try:
        Event.from_cloudevent(document)
    except BadEvent:
        assert attribute in refusal(Event.from_cloudevent, document)
