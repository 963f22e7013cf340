"""Webhooks: signed, at least once, in no order, tried again on a schedule, and not to be replayed."""

import base64
from collections import Counter
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import possible

from evsim import (
    BadScenario,
    Constant,
    Consumer,
    Crash,
    Exponential,
    Gone,
    Partition,
    Pause,
    Publisher,
    Reject,
    Replay,
    Scenario,
    Webhook,
)
from evsim.patterns.webhooks import BadSignature, headers_of, key_of, new_secret, secret_problem, sign, verify

SECRET, OTHER = new_secret("one"), new_secret("other")

# ---------------------------------------------------------------- signatures


def test_the_published_vector():
    """The example of the reference libraries: github.com/standard-webhooks/standard-webhooks."""
    secret, payload = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", '{"test": 2432232314}'
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, payload) == signature


texts = st.text(st.characters(codec="utf-8"), max_size=60)
names = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=30)
times = st.floats(0, 4e9)


@given(st.binary(min_size=24, max_size=64), names, times, texts)
def test_the_reference_library_signs_the_same(key, id_, timestamp, payload):
    secret = "whsec_" + base64.b64encode(key).decode()
    theirs = standardwebhooks.Webhook(secret).sign(id_, datetime.fromtimestamp(int(timestamp), UTC), payload)
    assert sign(secret, id_, int(timestamp), payload) == theirs
    assert key_of(secret) == key


def test_the_reference_library_believes_our_requests_and_we_theirs():
    now, payload = datetime.now(UTC), '{"a": 1}'
    ours = headers_of([OTHER, SECRET], "msg_1", now.timestamp(), payload)
    assert standardwebhooks.Webhook(SECRET).verify(payload, ours) == {"a": 1}
    theirs = ours | {"webhook-signature": standardwebhooks.Webhook(SECRET).sign("msg_1", now, payload)}
    assert verify(SECRET, theirs, payload, now.timestamp()) == "msg_1"


@given(names, times, texts)
def test_who_has_the_secret_is_believed(id_, timestamp, payload):
    headers = headers_of([SECRET], id_, timestamp, payload)
    assert verify(SECRET, headers, payload, timestamp) == id_
    assert verify([OTHER, SECRET], {name.upper(): value for name, value in headers.items()}, payload, timestamp) == id_


@given(names, times, texts, texts, st.sampled_from(["payload", "id", "timestamp", "secret", "version"]))
def test_whoever_changes_anything_is_not_believed(id_, timestamp, payload, other, what):
    headers = headers_of([OTHER if what == "secret" else SECRET], id_, timestamp, payload)
    if what == "payload":
        payload += other or " "
    elif what == "id":
        headers["webhook-id"] = f"{id_}x"
    elif what == "timestamp":
        headers["webhook-timestamp"] = str(int(timestamp) + 1)
    elif what == "version":
        headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v1a,")
    with pytest.raises(BadSignature):
        verify(SECRET, headers, payload, timestamp)


@given(st.floats(-1e4, 1e4))
@example(300.0)
@example(-300.0)
@example(300.1)
@example(-300.1)
def test_what_is_older_or_newer_than_five_minutes_is_refused(age_s):
    now = 1_700_000_000.0
    headers = headers_of([SECRET], "msg_1", now, "{}")
    if abs(age_s) <= 300:
        assert verify(SECRET, headers, "{}", now + age_s) == "msg_1"
    else:
        with pytest.raises(BadSignature, match="old" if age_s > 0 else "new"):
            verify(SECRET, headers, "{}", now + age_s)


@pytest.mark.parametrize("timestamp", ["nan", "inf", "-inf", "soon", ""])
@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,%%", "é"])
def test_what_is_no_request_is_refused(timestamp, signature):
    headers = {"webhook-id": "a", "webhook-timestamp": timestamp, "webhook-signature": signature}
    with pytest.raises(BadSignature):
        verify(SECRET, headers, "{}", 0)


def test_what_is_no_secret_is_told_without_telling_it():
    assert secret_problem(SECRET) is None
    assert "24 to 64" in secret_problem("whsec_c2hvcnQ=")
    assert "base64" in secret_problem("whsec_???")
    with pytest.raises(BadScenario, match="bytes") as problem:
        Scenario(Webhook("hook", secret="whsec_c2hvcnQ=")).run(1, seed=1)
    assert "c2hvcnQ" not in str(problem.value)


# ---------------------------------------------------------------- delivery


def rows(run, step, node=None):
    records = (run.history.record_at(row) for row in range(len(run.history)))
    return [record for record in records if record.step == step and node in {None, record.node}]


def ids(run, step, node=None):
    return [record.event_id for record in rows(run, step, node)]


def shop(count=1, gap_s=1.0):
    return Publisher("shop", to="hook", gap_s=Constant(gap_s), count=count)


def endpoint(name="shipping", **more):
    return Consumer(name, of="hook", **more)


def play(*parts, until_s=200_000, seed=1):
    return Scenario(*parts).run(until_s, seed=seed)


def failing(times_, error=RuntimeError):
    def handler(event, ctx):
        if ctx.attempt <= times_:
            raise error
        ctx.effect("parcel sent")

    return {"order.placed": handler}


def test_an_endpoint_that_answers_500_twice_is_tried_again_on_the_schedule():
    """webhook-01: at once, after 5 s, after 5 min: three attempts, one delivery, the same id."""
    run = play(shop(), Webhook("hook"), endpoint(on=failing(2)))
    assert [row.time - 1 for row in rows(run, "pushed")] == pytest.approx([0, 5, 305])
    assert ids(run, "pushed") == ["shop.1"] * 3
    assert len(ids(run, "effect")) == len(ids(run, "acked")) == 1


def test_after_the_last_attempt_it_is_given_up():
    """Eight attempts in 27 h 35 min 5 s."""
    run = play(shop(), Webhook("hook"), endpoint(on=failing(99)))
    at = [row.time - 1 for row in rows(run, "pushed")]
    assert at == pytest.approx([0, 5, 305, 2105, 9305, 27305, 63305, 99305])
    assert ids(run, "exhausted") == ["shop.1"]


def test_a_slow_endpoint_times_out_and_gets_it_again_unless_an_inbox_knows_it():
    slow = {"service_s": 20.0}
    twice = play(shop(), Webhook("hook", schedule_s=(0, 5, 300)), endpoint(**slow))
    assert len(ids(twice, "timed_out")) == 3
    assert len(ids(twice, "handled")) == 3
    assert ids(twice, "exhausted") == ["shop.1"]
    once = play(shop(), Webhook("hook"), endpoint(inbox=True, **slow))
    assert len(ids(once, "handled")) == 1
    assert ids(once, "acked") == ["shop.1"]


def test_who_answers_before_handling_does_not_time_out_and_loses_what_it_has_in_hand():
    run = play(shop(), Webhook("hook"), endpoint(service_s=20.0, commit="before"))
    assert (len(ids(run, "handled")), len(ids(run, "timed_out"))) == (1, 0)
    crashed = play(
        shop(), Webhook("hook"), endpoint(service_s=20.0, commit="before"), Crash("shipping", at_s=5, down_s=1)
    )
    assert (len(ids(crashed, "acked")), len(ids(crashed, "handled"))) == (1, 0)


def test_an_endpoint_that_is_down_refuses_and_gets_it_later():
    run = play(shop(3), Webhook("hook"), endpoint(), Crash("shipping", at_s=0.5, down_s=10))
    assert len(ids(run, "refused")) == 6
    assert sorted(ids(run, "acked")) == ["shop.1", "shop.2", "shop.3"]
    assert min(row.time for row in rows(run, "acked")) == pytest.approx(306)


def test_a_crash_in_the_middle_is_noticed_at_once_and_the_event_comes_again():
    run = play(shop(), Webhook("hook"), endpoint(service_s=1.0), Crash("shipping", after="handled", down_s=1))
    assert len(ids(run, "handled")) == 2
    assert [row.time for row in rows(run, "pushed")] == pytest.approx([1, 7])


@pytest.mark.parametrize(
    "fault", [Pause("shipping", at_s=0.5, for_s=60), Partition("hook", "shipping", at_s=0.5, for_s=60)]
)
def test_who_does_not_answer_in_time_is_tried_again(fault):
    run = play(shop(), Webhook("hook"), endpoint(inbox=True), fault)
    assert len(ids(run, "timed_out")) == 2
    assert ids(run, "acked") == ["shop.1"]
    assert len(ids(run, "handled")) == 1


def test_410_disables_the_endpoint_and_what_comes_then_waits():
    run = play(shop(5), Webhook("hook"), endpoint(on=failing(99, Gone)))
    assert [(row.node, row.place) for row in rows(run, "disabled")] == [("hook", "shipping")]
    assert len(ids(run, "pushed")) == 1
    assert not ids(run, "enabled")


def test_failures_in_a_row_disable_until_somebody_enables_it():
    hook = Webhook("hook", disable_after=4, disabled_for_s=600.0, schedule_s=(0, 1, 1, 1, 1000))
    run = play(shop(5, 0.01), hook, endpoint(), Crash("shipping", at_s=0.001, down_s=30))
    assert len(rows(run, "disabled")) == len(rows(run, "enabled")) == 1
    assert sorted(ids(run, "acked")) == [f"shop.{n}" for n in range(1, 6)]
    assert min(row.time for row in rows(run, "acked")) >= 600


def test_what_is_rejected_is_thrown_away():
    run = play(shop(), Webhook("hook"), endpoint(on=failing(99, Reject)))
    assert (ids(run, "rejected"), len(ids(run, "pushed"))) == (["shop.1"], 1)


def test_retries_overtake_order():
    run = play(shop(3), Webhook("hook"), endpoint(on={"order.placed": first_fails_once}))
    assert ids(run, "acked") == ["shop.2", "shop.3", "shop.1"]


def first_fails_once(event, ctx):
    if event.id == "shop.1" and ctx.attempt == 1:
        raise RuntimeError


def test_jitter_spreads_the_attempts():
    run = play(shop(50, 0.001), Webhook("hook", jitter=0.5), endpoint(), Crash("shipping", at_s=0.0005, down_s=4))
    waits = [row.time for row in rows(run, "acked")]
    assert len(set(waits)) == 50
    assert min(waits) >= 5
    assert max(waits) <= 7.6


def test_servers_take_turns():
    run = play(shop(40, 0.1), Webhook("hook"), endpoint(members=4))
    assert set(Counter(row.node for row in rows(run, "handled")).values()) == {10}


# ---------------------------------------------------------------- an attacker


def test_an_old_request_is_refused_when_it_is_sent_again_after_the_tolerance():
    """webhook-02."""
    run = play(shop(), Webhook("hook"), endpoint(), Replay("hook", at_s=302, nth=1))
    assert [row.time for row in rows(run, "refused")] == [302]
    assert len(ids(run, "handled")) == 1


def test_within_the_tolerance_only_an_inbox_helps():
    replay = Replay("hook", at_s=100, nth=1)
    assert len(ids(play(shop(), Webhook("hook"), endpoint(), replay), "handled")) == 2
    careful = play(shop(), Webhook("hook"), endpoint(inbox=True), replay)
    assert (len(ids(careful, "handled")), len(ids(careful, "skipped"))) == (1, 1)


def test_a_forged_request_is_refused_at_any_time():
    run = play(shop(), Webhook("hook"), endpoint(), Replay("hook", at_s=2, nth=1, forged=True))
    assert (len(ids(run, "refused")), len(ids(run, "handled"))) == (1, 1)


def test_keys_can_be_rotated_without_losing_a_request():
    both = play(shop(5), Webhook("hook", secret=OTHER, more_secrets=(SECRET,), endpoint_secret=SECRET), endpoint())
    assert len(ids(both, "acked")) == 5
    wrong = play(shop(5), Webhook("hook", secret=OTHER, endpoint_secret=SECRET), endpoint())
    assert (len(ids(wrong, "acked")), len(ids(wrong, "handled")), len(ids(wrong, "exhausted"))) == (0, 0, 5)


# ---------------------------------------------------------------- whatever happens

moments = st.floats(0.1, 20).map(lambda s: round(s, 2))
faults = st.lists(
    st.one_of(
        st.builds(Crash, st.sampled_from(["hook", "shipping-1", "shipping-2"]), at_s=moments, down_s=moments),
        st.builds(Pause, st.sampled_from(["hook", "shipping-1", "shipping-2"]), at_s=moments, for_s=moments),
        st.builds(Partition, st.just("hook"), st.sampled_from(["shipping-1", "shipping"]), at_s=moments, for_s=moments),
    ),
    max_size=4,
).map(possible)


@settings(max_examples=60, deadline=None)
@given(faults, st.integers(0, 10**6))
def test_every_event_that_was_taken_ends_in_one_way(found, seed):
    run = play(
        shop(20, 0.5),
        Webhook("hook", timeout_s=2, schedule_s=(0, 1, 2, 4, 8, 16)),
        endpoint(members=2, service_s=Exponential(0.2)),
        *found,
        seed=seed,
    )
    ends = Counter(ids(run, "acked") + ids(run, "exhausted"))
    assert set(ends.values()) <= {1}
    assert set(ends) == set(ids(run, "stored"))
    assert set(ids(run, "acked")) <= set(ids(run, "handled"))
