"""A scenario is a value: changed, compared, checked, kept in files and read back, or refused with every reason."""

import json
import pickle
import string
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import scalars, types

import evsim as ev
from evsim.kinds import kind_of
from evsim.lab import schema
from evsim.lab.catalog import CATALOG, HANDLERS, HELLO, ORDER_SHOP, PAYMENT, charge, ship
from evsim.lab.marks import read_json, read_yaml
from evsim.lab.scenario import Scenario
from evsim.laws import Choice
from evsim.sim.profile import Diurnal, Ramp, Spike, Step

ROOT = Path(__file__).parents[1]


# ---------------------------------------------------------------- any scenario

AWKWARD = [
    "on",
    "yes",
    "null",
    "~",
    "1e3",
    "0x1F",
    "12:30:00",
    "a: b",
    "# no",
    "- x",
    "Größe",
    "'",
    '"',
    "a\tb",
    "!x",
    "1_0",
]
names = st.sampled_from(AWKWARD) | st.text(string.ascii_letters + "äß .:#", min_size=1, max_size=8).filter(str.strip)
positive = st.floats(1e-3, 1e3) | st.integers(1, 1000)
zipfs = st.builds(ev.Zipf, st.integers(1, 50), st.floats(0, 3), st.none() | names)
plain_laws = st.one_of(
    st.builds(ev.Constant, st.floats(0, 1e6)),
    st.builds(ev.Exponential, positive),
    st.builds(lambda low, more: ev.Uniform(low, low + more), positive, positive),
    st.builds(lambda mean, share: ev.Normal(mean, mean * share), positive, st.floats(0.01, 0.9)),
    st.builds(lambda median, times: ev.LogNormal(median, median * times), positive, st.floats(1.5, 100)),
    st.builds(ev.Gamma, positive, st.floats(0.01, 10)),
    st.builds(ev.Erlang, positive, st.integers(1, 9)),
    st.builds(ev.Pareto, positive, st.floats(1.1, 9)),
    st.builds(ev.Empirical, st.lists(positive, min_size=1, max_size=4)),
)
laws = plain_laws | st.lists(plain_laws, min_size=2, max_size=2).map(lambda two: ev.Mixture(weights=(1, 2.5), laws=two))
choices = st.lists(scalars, min_size=1, max_size=3).map(lambda options: Choice(options=options))
facts = types.filter(lambda each: kind_of(each) != "command")
rates = positive | st.sampled_from([Step(1, 2, 3), Ramp(1, 2, 3, 4.5), Diurnal(3), Spike(1, 9, at_s=2, for_s=0.5)])


@st.composite
def scenarios(draw):
    """Any scenario that a file can hold: a shop, a log, readers, links and faults, with names hard to write."""
    shop, orders, billing, mail = draw(st.lists(names, min_size=4, max_size=4, unique=True))
    data = draw(st.dictionaries(names, scalars | laws | choices, max_size=3))
    keys = st.sampled_from(["own", "gold", None]) | zipfs
    event_type = draw(facts)
    parts = [
        ev.Publisher(shop, to=orders, rate=draw(rates), type=event_type, key=draw(keys), data=data),
        ev.Log(orders, partitions=draw(st.integers(1, 9)), retention_s=draw(st.none() | positive)),
        ev.Consumer(
            billing,
            of=orders,
            members=draw(st.integers(1, 4)),
            service_s=draw(laws),
            on=draw(st.none() | st.dictionaries(st.just(event_type), st.sampled_from([charge, ship]))),
            commit=draw(st.sampled_from(["after", "before", "batch", ev.Timed(2.5)])),
        ),
    ]
    extra = [
        ev.Consumer(mail, of=orders, types=(event_type,)),
        ev.Link(shop, orders, delay_s=draw(laws)),
        ev.Crash(billing, after="saved", nth=draw(st.integers(1, 9)), down_s=draw(st.none() | positive)),
        ev.Pause(billing, at_s=draw(positive), for_s=1),
        ev.Delay(shop, orders, extra_s=draw(laws), share=0.5),
        ev.Drop(shop, orders, share=draw(st.floats(0, 1))),
    ]
    parts += [part for part in extra if draw(st.booleans())]
    return Scenario(*parts, name=draw(names.filter(str.isprintable)))


@given(scenarios())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_equal(scenario):
    assert scenario.problems() == []
    for again in (Scenario.from_yaml(scenario.to_yaml()), Scenario.from_json(scenario.to_json())):
        assert again == scenario
        assert again.digest() == scenario.digest()
        assert hash(again) == hash(scenario)
        assert scenario.diff(again) == []
        assert again.to_yaml() == scenario.to_yaml()


@given(scenarios())
@settings(max_examples=25, deadline=None)
def test_the_schema_accepts_what_is_written_and_other_readers_read_the_same(scenario):
    document = json.loads(scenario.to_json())
    jsonschema.Draft202012Validator(Scenario.json_schema()).validate(document)
    assert document == scenario.to_dict()
    assert yaml.safe_load(scenario.to_yaml()) == document


@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )
)
@settings(max_examples=100, deadline=None)
def test_our_reader_reads_json_as_python_does(value):
    for text in (json.dumps(value), json.dumps(value, indent=3, ensure_ascii=False)):
        assert read_json(text).data == value == json.loads(text)


@given(st.text(max_size=60) | st.text("{}[]:,-&*!|>'\"#%@ \nab1~?", max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_text_brings_the_readers_down(text):
    for reader in (Scenario.from_yaml, Scenario.from_json):
        with pytest.raises(ev.BadScenario, match="problem"):
            reader(text)


def test_the_catalogue_can_be_written_and_read():
    for scenario in CATALOG.values():
        assert scenario.problems() == []
        assert Scenario.from_yaml(scenario.to_yaml()) == scenario


# ---------------------------------------------------------------- the schema


def test_the_kept_schema_is_current_and_is_a_schema():
    """If this fails: python -m evsim.lab.schema"""
    assert schema.KEPT.read_text(encoding="utf-8") == schema.written()
    jsonschema.Draft202012Validator.check_schema(Scenario.json_schema())


@pytest.mark.parametrize(
    "part",
    [
        {"kind": "lgo", "name": "orders"},
        {"name": "orders"},
        {"kind": "log", "name": "orders", "partitons": 3},
        {"kind": "log", "name": "orders", "partitions": 0},
        {"kind": "consumer", "name": "b", "of": "orders", "on": {"order.placed": "rm"}},
    ],
)
def test_the_schema_refuses_what_we_refuse(part):
    document = {
        "parts": [
            {"kind": "log", "name": "orders"} if part.get("kind") == "consumer" else {"kind": "log", "name": "x"},
            part,
        ]
    }
    assert not jsonschema.Draft202012Validator(Scenario.json_schema()).is_valid(document)
    with pytest.raises(ev.BadScenario):
        Scenario.from_json(json.dumps(document))


# ---------------------------------------------------------------- a value


class TestAValue:
    def test_changes_give_another_scenario_and_leave_the_first(self):
        four = HELLO.replace("billing", members=4)
        assert (HELLO["billing"].members, four["billing"].members) == (1, 4)
        crash = ev.Crash("billing", at_s=5)
        assert HELLO.plus(crash).without(crash) == HELLO
        assert HELLO.plus(ev.Log("x")).without("x") == HELLO
        assert HELLO.called("other") != HELLO
        with pytest.raises(ev.BadScenario, match="cannot be changed"):
            HELLO.name = "other"
        with pytest.raises(ev.BadScenario, match="cannot be changed"):
            del HELLO.parts

    def test_a_name_that_nothing_has_is_answered_with_the_nearest(self):
        with pytest.raises(ev.UnknownName, match="no part called 'biling' — did you mean 'billing'"):
            HELLO.replace("biling", members=4)
        with pytest.raises(ev.BadScenario, match="did you mean 'members'"):
            HELLO.replace("billing", membres=4)
        with pytest.raises(ev.UnknownName, match="'mail'"):
            HELLO.without("mail")
        with pytest.raises(ev.UnknownName, match="is no part of hello"):
            HELLO.without(ev.Crash("billing", at_s=5))

    def test_a_link_that_is_moved_is_called_after_its_new_ends(self):
        linked = HELLO.plus(ev.Log("mail"), ev.Link("shop", "orders"))
        assert linked.replace("shop>orders", end="mail").named["shop>mail"].end == "mail"

    def test_a_difference_is_said_in_lines(self):
        other = (
            HELLO.replace("billing", members=4).plus(ev.Crash("billing", at_s=5)).without("orders").plus(ev.Log("mail"))
        )
        assert str(HELLO.diff(other)).splitlines() == [
            "- Log('orders')",
            "billing: members 1 → 4",
            "+ Log('mail')",
            "+ Crash('billing', at_s=5.0)",
        ]
        assert HELLO.diff(HELLO) == []
        turned = Scenario(*reversed(HELLO.parts), name="hello")
        assert "another order" in str(HELLO.diff(turned))
        assert HELLO.diff(HELLO.called("x")) == ["scenario: name hello → x"]

    def test_functions_are_equal_when_they_do_the_same(self):
        """A cell that is run again makes new functions; the scenario stays equal until their code changes."""

        def made(amount, name="card charged"):
            def take(event, ctx):
                ctx.effect(name, amount=amount)

            return HELLO.replace("billing", on={"order.placed": take})

        assert made(3) == made(3)
        assert made(3).digest() == made(3).digest()
        assert made(3) != made(4)
        assert made(3) != made(3, "card debited")

    def test_equal_in_every_process(self):
        code = (
            "import evsim as ev\n"
            "def take(event, ctx):\n    return event.type in {'a', 'b', 'c', 'd'}\n"
            "print(ev.catalog.HELLO.replace('billing', on={'order.placed': take}).digest())"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(told) == 1

    def test_it_travels_to_other_processes(self):
        again = pickle.loads(pickle.dumps(ORDER_SHOP))
        assert again == ORDER_SHOP
        assert again.name == "order-shop"

    def test_it_shows_its_parts(self):
        assert repr(HELLO).splitlines()[1:3] == ["    Publisher('shop', to='orders', rate=20.0),", "    Log('orders'),"]

    @pytest.mark.parametrize("part", [ev.Log, "orders", 7, None])
    def test_what_is_no_part_is_refused(self, part):
        with pytest.raises(ev.BadScenario, match="is no part; expected a Publisher"):
            Scenario(part)

    @pytest.mark.parametrize("name", ["", "  ", "two\nlines", 7, "a\x1bb"])
    def test_a_name_is_a_line_of_text(self, name):
        with pytest.raises(ev.BadScenario, match="name="):
            Scenario(name=name)


# ---------------------------------------------------------------- before a run


class TestProblems:
    def test_all_are_told_at_once_before_anything_runs(self):
        bad = (
            HELLO.replace("shop", to="order")
            .replace("billing", of="oders")
            .plus(ev.Crash("shipping", at_s=1), ev.Log("orders"))
        )
        with pytest.raises(ev.BadScenario) as told:
            bad.run(until_s=60, seed=7)
        assert str(told.value).startswith("hello: 4 problems. Nothing was run.")
        for part in (
            "no part called 'order' for 'to' — did you mean 'orders'?",
            "'oders'",
            "'shipping'",
            "two parts are called",
        ):
            assert part in str(told.value)

    def test_one_problem_is_one_sentence(self):
        with pytest.raises(
            ev.BadScenario, match=r"^publisher 'shop': no part called 'order' for 'to' — did you mean 'orders'\?$"
        ):
            HELLO.replace("shop", to="order").check()


class TestExplain:
    def test_load_and_capacity_are_known_before_the_run(self):
        assert "offered 20/s, capacity 33.3/s, utilisation 60 %" in HELLO.explain()
        assert "warning" not in HELLO.explain()

    def test_what_cannot_work_is_warned_of_with_both_numbers(self):
        slow = HELLO.replace("billing", service_s=0.1, members=4).explain()
        assert "billing is over capacity: 20/s offered, 10/s at most" in slow
        assert "billing has 4 members for 1 partition of orders: 3 will have nothing to do" in slow
        assert "94.8 % busy" in HELLO.replace("shop", rate=31.6).explain()

    def test_a_chain_of_services_multiplies_what_may_fail(self):
        assert "waits for payment > stock > courier: 90 ms on average, answers 97 %" in CATALOG["chain"].explain()

    def test_load_that_handlers_make_is_not_guessed(self):
        assert "its load comes from handlers" in PAYMENT.explain()

    @pytest.mark.parametrize(
        ("publisher", "said"),
        [
            ({"gap_s": ev.Constant(0.1)}, "offered 10/s"),
            ({"clients": 5, "think_s": 2}, "at most 2.5/s, 5 clients thinking 2 s"),
            ({"rate": Spike(1, 9, at_s=2, for_s=1)}, "offered 9/s"),
            ({"rate": Step(3, 2, at_s=2)}, "offered 3/s"),
            ({"rate": Ramp(1, 4, 0, 9)}, "offered 4/s"),
            ({"rate": Diurnal(10)}, "offered 15/s"),
            ({"replay": "flights"}, "replays flights"),
        ],
    )
    def test_every_way_to_publish_has_a_peak(self, publisher, said):
        shop = ev.Scenario(ev.Publisher("shop", to="orders", **publisher), *HELLO.parts[1:])
        assert said in shop.explain()


# ---------------------------------------------------------------- files


BAD = """\
name: shop
parts:
  - kind: publisher
    name: shop
    to: order
    rate: fast
  - kind: log
    name: orders
    partitons: 3
  - kind: consumer
    name: billing
    of: orders
    on: {order.placed: chrge}
  - kind: crash
    part: biling
    at_s: 4
"""


class TestFiles:
    def test_every_problem_is_shown_with_its_line_in_the_order_of_the_file(self):
        with pytest.raises(ev.BadScenario) as told:
            Scenario.from_yaml(BAD, "orders.yaml")
        text = str(told.value)
        assert text.startswith("orders.yaml: 5 problems. Nothing was run.\n\n  line 5, parts.0.to\n")
        lines = [int(line.split()[1].rstrip(",")) for line in text.splitlines() if line.startswith("  line ")]
        assert lines == [5, 6, 9, 13, 15]
        for meant in ("orders", "partitions", "charge", "billing"):
            assert f"did you mean '{meant}'" in " ".join(text.split())
        assert "      6 |     rate: fast\n        |           ^^^^\n" in text
        assert max(map(len, text.splitlines())) <= 80

    def test_json_has_lines_too(self):
        text = '{"parts": [\n  {"kind": "log",\n   "name": "orders",\n   "partitions": "many"}\n]}'
        with pytest.raises(ev.BadScenario, match=r"line 4, parts\.0\.partitions"):
            Scenario.from_json(text)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "a scenario is a mapping"),
            ("- 1", "a scenario is a mapping"),
            ("parts: 3", "'parts' is 3"),
            ("name: x", "'parts' was not given"),
            ("part: []", "did you mean 'parts'"),
            ("evsim: 2\nparts: []", "reads format 1"),
            ("name: [x]\nparts: []", "is no name"),
            ("parts: [7]", "7 is no part"),
            ("parts: [{name: x}]", "this part has no 'kind'"),
            ("parts: [{kind: lgo}]", "did you mean 'log'"),
            ("parts: [{kind: log}]", "needs 'name'"),
            ("parts: [{kind: log, name: 7}]", "expected text"),
            ("parts: [{kind: log, name: x, name: y}]", "stands here twice"),
            ("parts: [{kind: log, name: &a x}, {kind: log, name: *a}]", "anchors"),
            ("parts: !!python/object/apply:os.system [ls]", "tag"),
            ("parts: [!!str x]", "tag"),
            ("--- {parts: []}\n--- {parts: []}", "second document"),
            ("parts: [", "this is not YAML"),
            ("? [a]\n: 1", "a key must be a word"),
            ("parts: [{kind: log, name: x, retention_s: 1e999}]", "too large"),
            ("parts: [{kind: log, name: x, retention_s: .inf}]", "expected a number"),
            ("[" * 50, "nested deeper than 20"),
            ("parts: " + "[" * 500 + "]" * 500, "nested deeper than 20"),
            ("name: \x00", "no text file may hold"),
        ],
    )
    def test_what_cannot_be_read_is_refused_in_words(self, text, said):
        with pytest.raises(ev.BadScenario) as told:
            Scenario.from_yaml(text)
        assert said in " ".join(str(told.value).split())

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[1,]",
            '{"a" 1}',
            '{"a": 1,}',
            "nul",
            "{'a': 1}",
            "NaN",
            "1 2",
            '"\\ud800"',
            "[" * 10**5,
            "01",
            '{"a":1,"a":2}',
            '"a',
        ],
    )
    def test_what_is_not_json_is_refused_in_words(self, text):
        with pytest.raises(ev.BadScenario, match="line 1"):
            Scenario.from_json(text)

    def test_a_bomb_does_not_go_off(self):
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
        )
        with pytest.raises(ev.BadScenario, match="anchors"):
            Scenario.from_yaml(bomb)
        with pytest.raises(ev.BadScenario, match="is not read"):
            Scenario.from_yaml("#" * (2**20 + 1))

    def test_yaml_words_mean_what_they_say(self):
        reader = "{kind: consumer, name: no, of: orders, on: {order.placed: ship}, service_s: 1e-3}"
        text = f"parts:\n- {{kind: log, name: orders}}\n- {reader}\n"
        consumer = Scenario.from_yaml(text)["no"]
        assert consumer.on == {"order.placed": HANDLERS["ship"]}
        assert consumer.service_s.mean == 0.001
        assert read_yaml("[1, 1.5, -2e3, true, null, ~, yes, '1', 0x1F]").data == [
            1,
            1.5,
            -2000.0,
            True,
            None,
            None,
            "yes",
            "1",
            "0x1F",
        ]

    def test_functions_of_a_notebook_stay_there(self):
        def take(event, ctx):
            pass

        with pytest.raises(ev.BadScenario, match="'take' is a function of your own"):
            HELLO.replace("billing", on={"order.placed": take}).to_yaml()

        def clock(world):
            yield world.timeout(1)

        with pytest.raises(ev.BadScenario, match="'clock' is a part of your own"):
            HELLO.plus(clock).to_json()

    def test_a_constant_may_not_look_like_a_law(self):
        with pytest.raises(ev.BadScenario, match="looks like a law"):
            HELLO.replace("shop", data={"x": {"kind": "exponential", "mean": 1}})

    def test_files_are_told_apart_by_their_name(self, tmp_path):
        for name, text in (("a.yaml", HELLO.to_yaml()), ("a.json", HELLO.to_json()), ("b.txt", HELLO.to_json())):
            (tmp_path / name).write_text(text, encoding="utf-8")
            assert Scenario.load(tmp_path / name) == HELLO
        with pytest.raises(ev.BadFile, match="no such file"):
            Scenario.load(tmp_path / "c.yaml")
        (tmp_path / "d.yaml").write_bytes(b"\xff\xfe")
        with pytest.raises(ev.BadFile, match="UTF-8"):
            Scenario.load(tmp_path / "d.yaml")


# ---------------------------------------------------------------- the front door


def test_every_name_of_the_design_is_found():
    for name in dir(ev):
        assert getattr(ev, name) is not None
    for name in ("Normal", "Mixture", "Join", "Timed", "Ramp", "profile", "BadToken"):
        assert name in dir(ev)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'Publisher'"):
        ev.Publsher  # noqa: B018
    with pytest.raises(AttributeError, match="dir"):
        ev.qqqqqq  # noqa: B018


def test_the_source_of_a_part_shows_how_it_lives():
    text = str(ev.source(ev.Consumer))
    assert text.startswith("class Consumer(Part):")
    assert "class LiveConsumer" in text
    assert repr(ev.source(charge)).startswith("def charge(")
    with pytest.raises(ev.UnknownName, match="no Python source"):
        ev.source(7)
