"""The matrix of who got what counts every copy, and everything that found no way."""

import pytest

from evsim import Consumer as Reader
from evsim import Exchange, History, Log, Message, Publisher, PubSub, Queue, Scenario
from evsim.view import plots
from evsim.view.routing import routing


def market(bindings, **settings):
    return Scenario(
        Publisher("de", to="world", rate=20, count=100, message=Message(routing_key="de.order.placed")),
        Publisher("fr", to="world", rate=20, count=50, message=Message(routing_key="fr.order.placed")),
        Exchange("world", type="topic", bindings=bindings, **settings),
        *[Queue(name) for name in ("germany", "all", "rest")],
    ).run(30, seed=1)


def test_copies_and_what_found_no_way():
    found = routing(market({"germany": "de.#", "all": "*.order.*"}).history)
    assert (found.sources, found.places) == (["de", "fr"], ["germany", "all", "rest"])
    assert found.counts.tolist() == [[100, 100, 0], [0, 50, 0]]
    lost = routing(market({"germany": "de.#"}).history)
    assert lost.places == ["germany", "all", "rest", "unroutable"]
    assert lost.counts.tolist() == [[100, 0, 0, 0], [0, 0, 0, 50]]
    assert lost.unroutable == 50
    assert lost.published.tolist() == [100, 50]


def test_the_figure_says_it_in_words():
    figure = market({"germany": "de.#"}).routing()
    assert figure.claim == "33.3 % of 150 events found no way"
    assert figure.facts == {"de": "100 published: 100 germany", "fr": "50 published: 50 unroutable"}
    assert figure.png()[:4] == b"\x89PNG"
    assert market({"germany": "#"}).routing().claim == "All 150 events found a way"


def test_who_listens_to_a_subject_is_a_place_too():
    run = Scenario(
        Publisher("shop", to="news", rate=20, count=100),
        Publisher("till", to="news", rate=20, count=10, type="order.paid"),
        PubSub("news"),
        Reader("mail", of="news", subjects=("order.placed",), members=2),
    ).run(30, seed=1)
    assert routing(run.history).places == ["mail", "unroutable"]
    assert routing(run.history).counts.tolist() == [[100, 0], [0, 10]]


@pytest.mark.parametrize("history", [History(), Scenario(Log("orders")).run(1, seed=1).history])
def test_where_nothing_happened_the_figure_says_so(history):
    assert plots.routing(history).claim == "No event came anywhere in this run"


def test_what_comes_through_an_exchange_is_part_of_the_load():
    """By routing key through two exchanges, by what is left over, and by subject."""
    told = Scenario(
        Publisher("de", to="world", rate=20, message=Message(routing_key="de.order.placed")),
        Publisher("fr", to="world", rate=10, message=Message(routing_key="fr.order.placed")),
        Exchange("world", type="topic", bindings={"inner": "de.#"}, alternate="rest"),
        Exchange("inner", type="fanout", bindings={"all": ""}),
        Queue("all"),
        Queue("rest"),
        Reader("desk", of="all", service_s=0.01),
        Reader("bin", of="rest", service_s=0.01),
        PubSub("news"),
        Publisher("radio", to="news", rate=5, type="news.read"),
        Reader("deaf", of="news", subjects=("sport.>",)),
        Reader("fan", of="news", subjects=("news.*",), service_s=0.1),
    ).explain()
    assert "desk      reads all: offered 20/s, capacity 100/s, utilisation 20 %" in told
    assert "bin       reads rest: offered 10/s" in told
    assert "fan       reads news: offered 5/s" in told
    assert "deaf      reads news: capacity" in told
