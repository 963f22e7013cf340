"""What a search says of what it has tried."""

from evsim import Consumer, Log, Publisher, Scenario, nothing_lost
from evsim.view.plots import coverage


def test_a_search_that_finds_nothing_shows_what_it_has_tried_where():
    shop = Scenario(Publisher("shop", to="orders", rate=5, count=20), Log("orders"), Consumer("billing", of="orders"))
    covered = shop.search(nothing_lost(), budget=80, until_s=30, faults=("crash", "pause", "delay"), progress=False)
    assert not covered.found
    assert sum(covered.places.values()) == sum(covered.faults.values())
    assert {place for kind, place in covered.places if kind.startswith("crash after")} == {"billing"}
    assert all(">" in place for kind, place in covered.places if kind == "delay")
    figure = covered.coverage()
    assert figure.claim.startswith(f"{sum(covered.faults.values())} faults in 80 schedules")
    assert f"billing {covered.places['crash after saved', 'billing']}" in figure.facts["crash after saved"]
    for theme in ("light", "dark"):
        assert figure.png(theme)[:4] == b"\x89PNG"


def test_pairs_that_were_never_tried_are_counted():
    figure = coverage({("pause", "billing"): 3, ("pause", "orders"): 1, ("crash", "billing"): 2, ("drop", "a>b"): 4}, 9)
    assert "1 pair never tried" in figure.claim
    assert "No fault was injected" in coverage({}, 3).claim
