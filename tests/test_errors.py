import pickle

import pytest

from evsim import BadScenario, Consumer, Exchange, Scenario, errors
from evsim.errors import BadEvent, EvsimError, UnknownName, did_you_mean, shown

TREE = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, EvsimError)]


@pytest.mark.parametrize("error", TREE)
def test_an_error_is_rebuilt_from_its_arguments(error):
    """SimPy and process pools make exceptions again from what they were given."""
    first = error("no part called 'order' — did you mean 'orders'?")
    assert str(pickle.loads(pickle.dumps(first))) == str(type(first)(*first.args)) == str(first)


@pytest.mark.parametrize("error", TREE)
def test_a_notebook_shows_the_sentence_and_no_traceback(error):
    assert error("no part called 'order'")._render_traceback_() == ["no part called 'order'"]


@pytest.mark.parametrize("error", TREE)
def test_every_error_stands_in_the_tree_and_says_what_it_is(error):
    assert error.__name__ in errors.__doc__
    assert error.__doc__


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(BadEvent, ValueError)
    assert issubclass(UnknownName, LookupError)


@pytest.mark.parametrize(
    ("given", "known", "end"),
    [
        ("order", ["orders", "mail"], " — did you mean 'orders'?"),
        ("Billing", ["orders", "billing"], " — did you mean 'billing'?"),
        ("service", ["service_s", "sevice"], " — did you mean 'sevice'?"),
        ("zebra", ["orders", "billing"], "; known: orders, billing"),
        ("zebra", [], ""),
        (7, ["orders"], "; known: orders"),
        ("zebra", [f"consumer-{n}" for n in range(40)], " and 28 more"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(given, known, end):
    assert did_you_mean(given, known).endswith(end)


class Unspeakable:
    def __repr__(self):
        raise RuntimeError


def test_any_value_can_be_quoted_in_one_short_line():
    for value in ("a\nb", "x" * 1000, [1] * 1000, Unspeakable(), 10**6000):
        assert len(shown(value)) <= 60
        assert "\n" not in shown(value)


def test_a_noun_has_its_article():
    """Kinds of parts are quoted in many refusals."""
    wrong = Scenario(Exchange("orders"), Consumer("billing", of="orders"))
    with pytest.raises(BadScenario, match="'of' names 'orders', an exchange; expected a log or"):
        wrong.run(until_s=1, seed=1)
