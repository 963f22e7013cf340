import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from evsim.errors import BadScenario
from evsim.value import Value, sentences


class Constant(Value):
    value: float = Field(ge=0)
    kind: Literal["constant"] = "constant"


class Exponential(Value):
    mean: float = Field(gt=0)
    kind: Literal["exponential"] = "exponential"


class LogNormal(Value):
    median: float = Field(gt=0)
    p99: float = Field(gt=0)
    kind: Literal["lognormal"] = "lognormal"

    @model_validator(mode="after")
    def _ordered(self):
        if self.p99 <= self.median:
            raise ValueError(f"p99 must lie above the median, but {self.p99} is not above {self.median}")
        return self


Law = Annotated[Constant | Exponential | LogNormal, Field(discriminator="kind")]
Duration = Annotated[Law, BeforeValidator(lambda given: Constant(given) if isinstance(given, int | float) else given)]


class Named(Value):
    name: str


class Log(Named):
    partitions: int = Field(1, ge=1)
    retention_s: float | None = None
    kind: Literal["log"] = "log"


class Consumer(Named):
    of: str
    members: int = Field(1, ge=1)
    service_s: Duration = 0
    commit: Literal["after", "before"] | Constant = "after"
    on: dict[str, Callable[..., Any]] | None = None
    data: dict[str, float | str | Law] = Field(default_factory=dict)
    profile: Exponential | None = None
    steps: tuple[Constant, ...] = ()
    kind: Literal["consumer"] = "consumer"


def charge(event, ctx):
    """A handler that does nothing."""


def test_settings_are_given_by_position_or_by_name():
    assert Log("orders", 4) == Log("orders", partitions=4) == Log(name="orders", partitions=4)
    assert Exponential(0.03).mean == 0.03


def test_help_shows_the_settings_in_order_and_hides_the_tag():
    assert list(inspect.signature(Log).parameters) == ["name", "partitions", "retention_s"]
    assert inspect.signature(Log).parameters["partitions"].default == 1


def test_a_value_shows_what_it_says_beyond_its_defaults():
    assert repr(Exponential(0.03)) == str(Exponential(0.03)) == "Exponential(0.03)"
    assert repr(LogNormal(0.1, 2)) == "LogNormal(0.1, 2.0)"
    assert repr(Log("orders", partitions=4)) == "Log('orders', partitions=4)"
    assert repr(Log("orders", partitions=1)) == "Log('orders')"
    assert repr(Consumer("billing", of="orders", service_s=0)) == "Consumer('billing', of='orders')"
    shown = repr(Consumer("billing", of="orders", service_s=Exponential(1), on={"take.payment": charge}))
    assert shown == "Consumer('billing', of='orders', service_s=Exponential(1.0), on={'take.payment': charge})"


def test_defaults_are_checked_like_what_is_given():
    assert Consumer("billing", "orders").service_s == Constant(0)


def test_a_value_cannot_be_changed_but_made_anew():
    log = Log("orders")
    with pytest.raises(BadScenario, match=r"Log 'orders' cannot be changed; make another with .but\(partitions=…\)"):
        log.partitions = 2
    with pytest.raises(BadScenario, match="cannot lose its 'name'"):
        del log.name
    assert log.but(partitions=2) == Log("orders", 2)
    with pytest.raises(BadScenario, match="'partitons' is not a setting of Log 'orders'"):
        log.but(partitons=2)


def test_equal_values_hash_alike_even_with_mappings_and_functions():
    one = Consumer("b", "o", data={"x": 1, "y": Exponential(1)}, on={"take.payment": charge})
    two = Consumer("b", "o", data={"y": Exponential(1), "x": 1.0}, on={"take.payment": charge})
    assert one == two
    assert len({one, two, one.but(members=2)}) == 2


def test_a_value_is_copied_and_pickled():
    consumer = Consumer("b", "o", service_s=Exponential(1), on={"take.payment": charge})
    assert copy.deepcopy(consumer) == consumer == pickle.loads(pickle.dumps(consumer))


@given(
    st.builds(
        Consumer,
        name=st.text(),
        of=st.text(),
        members=st.integers(1, 9),
        service_s=st.one_of(st.floats(0, 9), st.builds(Exponential, st.floats(0.1, 9)), st.just(LogNormal(1, 2))),
        data=st.dictionaries(st.text(), st.floats(0, 9) | st.text() | st.just(Constant(1))),
        steps=st.lists(st.builds(Constant, st.floats(0, 9))),
    )
)
def test_json_gives_back_the_same_value(consumer):
    assert Consumer.model_validate(consumer.model_dump(mode="json")) == consumer
    assert Consumer.model_validate_json(consumer.model_dump_json()) == consumer


def test_the_tag_says_which_value_it_is():
    part = TypeAdapter(Annotated[Log | Consumer, Field(discriminator="kind")])
    assert part.validate_python(Log("orders", 3).model_dump(mode="json")) == Log("orders", 3)


REFUSED = [
    ({"servce_s": 1}, "'servce_s' is not a setting of Consumer 'billing' — did you mean 'service_s'?"),
    ({"members": 0}, "Consumer 'billing': members=0 is refused; expected at least 1"),
    ({"members": 1.5}, "Consumer 'billing': members=1.5 is refused; expected a whole number"),
    ({"of": 3}, "Consumer 'billing': of=3 is refused; expected text"),
    ({"service_s": -1}, "Consumer 'billing': service_s=-1: Constant: value=-1 is refused; expected at least 0"),
    ({"service_s": "x"}, "service_s='x' is refused; expected one of Constant, Exponential, LogNormal"),
    ({"service_s": {"kind": "exponental"}}, "has no kind called 'exponental' — did you mean 'exponential'?"),
    ({"service_s": {"kind": "exponential", "mean": 0}}, "service_s.mean=0 is refused; expected more than 0"),
    ({"service_s": {"kind": "exponential"}}, "Exponential in service_s of Consumer 'billing' needs 'mean'"),
    ({"service_s": {"kind": "lognormal", "median": 2, "p99": 1}}, "p99 must lie above the median"),
    ({"commit": "aftr"}, "expected 'after' or 'before' or a Constant — did you mean 'after'?"),
    ({"commit": {"value": -1}}, "commit.value=-1 is refused; expected at least 0"),
    ({"on": {"take.payment": 3}}, "on['take.payment']=3 is refused; expected a function"),
    ({"data": {"amount": {"kind": "exponential", "mean": -1}}}, "data['amount'].mean=-1"),
    ({"profile": charge}, "profile=charge is refused; expected an Exponential"),
    ({"profile": {"mean": 1, "men": 1}}, "'men' is not a setting of Exponential in profile of Consumer 'billing'"),
    ({"steps": [Constant(1), {"value": "x"}]}, "steps[1].value='x' is refused; expected a number"),
    ({"steps": 3}, "steps=3 is refused; expected a list"),
    ({"kind": "log"}, "kind='log' is refused; expected 'consumer'"),
    ({"profile": {"mean": float("nan")}}, "expected a finite number"),
]


@pytest.mark.parametrize(("settings", "sentence"), REFUSED)
def test_a_mistake_is_answered_with_one_sentence(settings, sentence):
    with pytest.raises(BadScenario) as refused:
        Consumer("billing", **{"of": "orders"} | settings)
    said = str(refused.value)
    assert sentence in said
    assert "\n" not in said
    assert "pydantic" not in said
    assert "validation error" not in said
    assert refused.value.__suppress_context__


def test_every_mistake_has_its_line_in_the_order_of_the_settings():
    with pytest.raises(BadScenario) as refused:
        Consumer(members=0, steps=3, colour="red")
    lines = str(refused.value).splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "Consumer needs 'name', which was not given",
        "Consumer needs 'of', which was not given",
        "Consumer: members=0 is refused",
        "Consumer: steps=3 is refused",
        "'colour' is not a setting of Consumer",
    ]


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: Log("a", 1, 2.0, 3), r"Log takes at most 3 settings \(name, partitions, retention_s\), not 4"),
        (lambda: Log("a", name="b"), "Log was given name twice: 'a' by its position and 'b' by its name"),
        (lambda: Log.model_validate(3), "Log cannot be made from 3; expected a Log"),
        (lambda: Log.model_validate_json("{"), "Log should be read from JSON, but this is not JSON"),
        (lambda: LogNormal(2, 1), r"LogNormal: p99 must lie above the median"),
    ],
)
def test_a_value_that_cannot_be_made_says_why(act, sentence):
    with pytest.raises(BadScenario, match=sentence) as refused:
        act()
    assert "\n" not in str(refused.value)


def test_a_union_of_values_can_say_its_mistakes_too():
    """What reads a scenario file asks for the sentences itself."""
    union = Annotated[Log | Consumer, Field(discriminator="kind")]
    given = {"kind": "log", "name": "orders", "partitons": 3}
    with pytest.raises(ValidationError) as error:
        TypeAdapter(union).validate_python(given)
    said = sentences(error.value, union, given)
    assert said == "'partitons' is not a setting of Log 'orders' — did you mean 'partitions'?"


@given(
    st.dictionaries(
        st.sampled_from(list(Consumer.model_fields)),
        st.one_of(st.integers(), st.text(), st.lists(st.none()), st.dictionaries(st.text(), st.integers())),
        max_size=4,
    )
)
def test_nonsense_is_refused_with_short_lines_or_taken(settings):
    try:
        Consumer(**settings)
    except BadScenario as refused:
        for line in str(refused).splitlines():
            assert 10 < len(line) < 400
            assert any(name in line for name in Consumer.model_fields)
