"""A token names a run: whoever has it gets the same run, digit for digit, or a sentence that says why not."""

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim.lab.catalog import CATALOG, HELLO, PAYMENT
from evsim.lab.token import parse, replay


def packed(text):
    return "p." + base64.urlsafe_b64encode(zlib.compress(text)).decode().rstrip("=")


@pytest.mark.parametrize("scenario", CATALOG.values(), ids=CATALOG)
def test_a_run_of_the_catalogue_is_named_by_its_scenario(scenario):
    run = scenario.start(seed=7).run_until(20).finish()
    assert run.token == f"{scenario.name}~s7~20~{run.digest()[:12]}"
    assert repr(run.token) == run.token
    again = replay(run.token)
    assert again.same
    assert again.run.digest() == run.digest()
    assert str(again) == f"the same run, digit for digit: digest {run.digest()[:12]}"


@given(st.integers(0, 2**64 - 1), st.floats(0.001, 5))
@settings(max_examples=15, deadline=None)
def test_any_other_scenario_travels_in_the_token(seed, until_s):
    scenario = PAYMENT.replace("shop", rate=50).plus(ev.Crash("payment", after="saved", nth=2)).called("Größe ~ 7")
    run = scenario.run(until_s=until_s, seed=seed)
    assert run.token.startswith("p.")
    assert run.token.isascii()
    assert " " not in run.token
    token = parse(run.token)
    assert (token.scenario(), token.seed, token.until_s) == (scenario, seed, until_s)
    assert replay(run.token).same


def test_a_scenario_that_only_borrows_a_name_is_not_taken_for_the_catalogues():
    run = HELLO.replace("billing", members=2).run(until_s=5, seed=7)
    assert run.token.startswith("p.")
    assert replay(run.token).run.scenario["billing"].members == 2


def test_a_difference_is_seen():
    run = HELLO.run(until_s=5, seed=7)
    other = replay(run.token.replace("~s7~", "~s8~"))
    assert other.same is False
    assert "not the same run" in str(other)
    assert run.digest()[:12] in str(other)


def test_a_run_with_functions_of_a_notebook_is_replayed_there():
    def take(event, ctx):
        ctx.effect("card charged")

    mine = HELLO.replace("billing", on={"order.placed": take})
    token = mine.run(until_s=5, seed=7).token
    assert token.startswith("n.")
    with pytest.raises(ev.BadToken, match=r"replay it there with scenario\.replay"):
        replay(token)
    assert mine.replay(token).same
    with pytest.raises(ev.BadToken, match="names another scenario"):
        HELLO.replay(token)


def test_a_part_of_a_run_names_the_whole():
    whole = replay("hello~s7~5~partial")
    assert whole.same is None
    assert "the first run was stopped" in str(whole)
    assert whole.run.digest() == HELLO.run(until_s=5, seed=7).digest()


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "is no token; expected"),
        ("hello", "is no token; expected"),
        ("hello~s7~60", "is no token; expected"),
        ("hello~7~60~4f1ca09e2b71", "is no token; expected"),
        ("hello~s7~60~4f1ca09e2b7", "is no token; expected"),
        ("hello~s7~60~4f1ca09e2b71~", "is no token; expected"),
        ("helo~s7~60~4f1ca09e2b71", "did you mean 'hello'"),
        ("hello~s7~0~4f1ca09e2b71", "cannot be"),
        ("hello~s7~1e999~4f1ca09e2b71", "cannot be"),
        ("hello~s7~1-2~4f1ca09e2b71", "cannot be"),
        ("hello~s99999999999999999999~60~4f1ca09e2b71", "cannot be"),
        ("p.@@@@~s7~60~4f1ca09e2b71", "cannot be unpacked"),
        ("p.AAAA~s7~60~4f1ca09e2b71", "cannot be unpacked"),
        (f"{packed(b'{}')[:-4]}~s7~60~4f1ca09e2b71", "cannot be unpacked"),
        (f"{packed(bytes(2**21))}~s7~60~4f1ca09e2b71", "cannot be unpacked"),
        (packed(bytes([255])) + "~s7~60~4f1ca09e2b71", "cannot be unpacked"),
        (f"{packed(b'{}')}~s7~60~4f1ca09e2b71", "cannot be read by this evsim"),
        ("x" * 70_000, "is no token; expected"),
    ],
)
def test_what_is_no_token_is_refused_with_a_sentence(token, said):
    with pytest.raises(ev.BadToken) as told:
        replay(token)
    assert said in str(told.value)
    assert len(str(told.value)) < 600


@given(
    st.text(max_size=80)
    | st.from_regex(r"(p|n)\.[A-Za-z0-9_-]{0,40}~s[0-9]{1,3}~[0-9e.+-]{1,6}~[0-9a-f]{12}", fullmatch=True)
)
@settings(max_examples=150, deadline=None)
def test_no_text_brings_the_reader_down(text):
    with pytest.raises(ev.BadToken):
        parse(text).scenario()
