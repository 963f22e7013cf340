"""Figures say what they show, draw whatever happened, and look as agreed."""

import itertools
import re
import subprocess
import sys

import figures_data
import numpy as np
import pytest

from evsim.errors import BadScenario, UnknownName
from evsim.view import measures, plots, series
from evsim.view.causes import flow_graph, layers, topology_graph, without_circles
from evsim.view.faults import faults_of
from evsim.view.figure import Figure, use_theme
from evsim.view.owners import ownings, untended
from evsim.view.palette import DARK, LIGHT, ROLES
from evsim.view.words import CLAIM_MAX, claim_of, count, digits, share, si, times

PLOTS = {
    "latency": plots.latency,
    "throughput": plots.throughput,
    "lag": plots.lag,
    "timeline": plots.timeline,
    "topology": plots.topology,
}
MATTER = [*figures_data.ODD, *figures_data.USUAL]
HISTORIES = {make.__name__: make for make in MATTER}


@pytest.fixture(scope="module")
def histories():
    return {name: make() for name, make in HISTORIES.items()}


def all_figures(history):
    return {name: plot(history) for name, plot in PLOTS.items()}


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.0123, "s", "12.3 ms"),
        (0.9999, "s", "1 s"),
        (7200.0, "s", "7 200 s"),
        (4630, "", "4.63k"),
        (2.5e-6, "s", "2.5 µs"),
        (None, "s", "nothing to measure"),
        (float("inf"), "s", "endless s"),
    ],
)
def test_a_number_has_three_digits_and_one_unit(value, unit, text):
    assert si(value, unit) == text


def test_words_for_numbers():
    assert (digits(0.9), digits(1234.4), digits(0.00001)) == ("0.9", "1 234", "1.0e-05")
    assert (count(1, "event"), count(57600, "event")) == ("1 event", "57 600 events")
    assert (times(1), times(2), times(1200)) == ("once", "twice", "1 200 times")
    assert (share(1, 3), share(999, 1000), share(0, 0)) == ("33.3 %", "99.9 %", "nothing to measure")
    assert claim_of("x" * (CLAIM_MAX + 1), "short") == "short"


# ---------------------------------------------------------------- a figure is a value


def test_a_figure_costs_no_matplotlib_until_it_is_looked_at():
    code = "import sys, evsim.view.plots, evsim.view.figure; print([m for m in sys.modules if m == 'matplotlib'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_notebook_gets_the_picture_and_the_caption(histories):
    figure = plots.throughput(histories["crashed"])
    shown, about = figure._repr_mimebundle_()
    assert shown["text/plain"] == repr(figure) == figure.caption
    assert shown["image/png"].startswith(b"\x89PNG")
    assert about["image/png"] == {"width": 900, "height": figure.height, "alt": figure.caption}


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_history_gives_the_same_words_and_bytes(name):
    first, second = (PLOTS[name](figures_data.crashed()) for _ in range(2))
    assert repr(first) == repr(second)
    assert first.png() == second.png() == first.png()


def test_settings_of_the_reader_do_not_change_a_figure(histories):
    import matplotlib as mpl

    figure = plots.throughput(histories["one_event"])
    usual = figure.png()
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "lines.linewidth": 9}):
        assert figure.png() == usual


def test_the_dark_theme_is_asked_for_by_name_or_for_all(tmp_path, histories):
    figure = plots.topology(histories["one_event"])
    light, dark = figure.png("light"), figure.png("dark")
    assert light != dark
    try:
        use_theme("dark")
        assert figure.save(tmp_path / "figure.png").read_bytes() == dark
    finally:
        use_theme("light")
    assert figure.png() == light
    with pytest.raises(UnknownName, match="did you mean 'dark'"):
        use_theme("drak")
    with pytest.raises(UnknownName, match="did you mean 'light'"):
        figure.png("lihgt")


# ---------------------------------------------------------------- whatever happened


SAYS = {
    "nothing": "Nothing was handled|Nothing was published|Nothing was stored|Nobody was at work",
    "one_event": "The only event|came in|behind|handled 400 ms|is busiest",
    "all_lost": "Nothing was handled|nothing was handled|Nothing was stored|was lost on its way|20 events lost",
    "all_alike": "took the same time, 250 ms|came in|behind|handled 250 ms|is busiest",
}


@pytest.mark.parametrize(("matter", "name"), list(itertools.product(SAYS, PLOTS)))
def test_an_odd_history_is_drawn_and_named_for_what_it_is(histories, matter, name):
    figure = PLOTS[name](histories[matter])
    assert re.search(SAYS[matter], figure.claim), figure.claim
    assert "nan" not in repr(figure).lower()
    assert figure.png().startswith(b"\x89PNG")


def test_no_time_at_all_is_said_not_drawn():
    assert "handled at once" in plots.latency(figures_data.all_alike(latency_s=0.0)).claim


@pytest.mark.parametrize(("matter", "name"), list(itertools.product(HISTORIES, PLOTS)))
def test_a_claim_is_a_short_sentence_whose_numbers_are_in_the_facts(histories, matter, name):
    figure = PLOTS[name](histories[matter])
    assert len(figure.claim) <= CLAIM_MAX
    known = repr(figure.facts) + figure.subtitle
    for number in re.findall(r"(?<![\w.-])\d[\d ]*(?:\.\d+)? (?:s|ms|µs|%|events)\b", figure.claim):
        assert number in known or number.split()[0] in known, (number, known)


# ---------------------------------------------------------------- facts equal the arrays they came from


def test_facts_of_latency_are_the_exact_percentiles(histories):
    history = histories["crashed"]
    values = measures.latencies(history)
    facts = plots.latency(history).facts
    assert facts["handled"] == count(len(values), "event")
    assert facts["p50, p95, p99"] == ", ".join(si(measures.percentile(values, q), "s") for q in (0.5, 0.95, 0.99))
    assert facts["mean"] == si(values.mean(), "s")
    assert facts["seed"] == "7"


def test_facts_of_throughput_are_those_of_the_measures(histories):
    history = histories["crashed"]
    facts = plots.throughput(history).facts
    assert facts["backlog"].startswith(count(measures.backlog_most(history), "event"))
    assert facts["lag"] == f"{si(measures.lag_most(history), 's')} at most"
    assert facts["faults"] == "billing-2 down 20 s to 32 s"


def test_a_group_may_be_called_by_its_own_name_or_by_that_of_its_part(histories):
    history = figures_data.crashed()
    history.parts["billing"]["group"] = "accounts"
    assert repr(plots.throughput(history, "accounts")) == repr(plots.throughput(histories["crashed"]))
    assert repr(plots.lag(history, "accounts")) == repr(plots.lag(histories["crashed"]))
    assert repr(plots.latency(history, "accounts")) == repr(plots.latency(histories["crashed"], "billing"))
    with pytest.raises(UnknownName, match="did you mean 'billing'"):
        plots.throughput(history, "biling")


def test_facts_of_lag_are_those_of_the_measures(histories):
    history = histories["crashed"]
    lags, facts = measures.lags(history), plots.lag(history).facts
    for place in ("orders/0", "orders/1", "orders/2"):
        most = lags[f"billing {place}"]
        assert facts[place].startswith(
            f"{count(int(most['messages']), 'event')} and {si(most['seconds'], 's')} at most"
        )


def test_a_strip_is_never_below_what_waited_at_any_moment(histories):
    history = histories["crashed"]
    strips = series.strips_of(history, "billing", 60)
    total = sum(strip.waiting.values for strip in strips)
    assert (total >= measures.backlog_series(history, "billing", 60).values).all()
    assert [strip.most for strip in strips] == [int(strip.waiting.values.max()) for strip in strips]


def test_a_backlog_is_caught_up_when_it_is_what_it_was_before(histories):
    caught = series.catch_up(histories["crashed"], "billing", 20.0)
    assert caught.most > caught.before
    assert caught.most_at_s < caught.again_at_s
    exact = measures.backlog(histories["crashed"], "billing")
    at = np.searchsorted(exact.edges, caught.again_at_s, side="right") - 1
    assert exact.values[at] <= max(caught.before, 1)


def test_the_band_over_seeds_holds_the_pooled_curve():
    luck = np.random.default_rng(3)
    samples = [luck.exponential(0.1, 2000) for _ in range(12)]
    curve = series.curve(samples)
    pooled = np.sort(np.concatenate(samples))
    middle = slice(20, curve.trusted)
    assert (curve.low[middle] <= curve.latency_s[middle] * 1.01).all()
    assert (curve.high[middle] >= curve.latency_s[middle] * 0.99).all()
    at = int(np.argmin(abs(curve.nines - 1)))
    assert curve.latency_s[at] == np.quantile(pooled, 1 - 10 ** -curve.nines[at], method="inverted_cdf")
    assert series.curve(samples[:2]).low is None


def test_several_seeds_are_pooled_and_counted():
    runs = [figures_data.shop(seed=seed, until_s=20.0) for seed in range(8)]
    figure = plots.latency_of(runs)
    assert figure.facts["handled"] == count(sum(len(measures.latencies(run)) for run in runs), "event")
    assert figure.facts["seeds"] == "0, 1, 2 … 7"
    assert "shaded: 95 % interval" in figure.subtitle


# ---------------------------------------------------------------- the timeline tells the story


def test_the_timeline_picks_the_event_that_was_delivered_twice(histories):
    figure = plots.timeline(histories["crashed"])
    assert re.fullmatch(r"shop\.\d+ was delivered twice: billing-2 crashed before it was done", figure.claim)
    assert figure.facts["delivered"] == "2"
    assert figure.facts["handled"] == "1"
    told = [fact for name, fact in figure.facts.items() if name.isdigit()]
    assert 0 < len(told) <= 6
    assert any("billing-2 crashes" in fact for fact in told)
    assert any("again" in fact for fact in told)
    assert [float(fact.split()[0]) for fact in told] == sorted(float(fact.split()[0]) for fact in told)


def test_too_many_events_for_arrows_become_a_shade(monkeypatch, histories):
    from evsim.view import scene

    monkeypatch.setattr(scene, "OTHERS_MAX", 10)
    figure = plots.timeline(histories["crashed"])
    assert "shade: how much went on" in figure.subtitle
    assert_tidy(figure, "dark")
    seen = scene.Scene(histories["crashed"], [], (0.0, 60.0))
    counts = seen.activity(30)
    assert_tidy(plots.timeline(histories["crashed"], from_s=0, to_s=60), "light")
    assert counts["shop"].sum() == len(histories["crashed"].of("published"))
    assert counts["orders/1"].sum() == len(histories["crashed"].of("stored", place="orders/1"))


def test_the_timeline_of_one_order_and_of_a_window(histories):
    history = histories["crashed"]
    assert plots.timeline(history, "order-5").facts["event"] == "shop.5"
    assert re.fullmatch(r"\d+ events from 5 s to 6 s", plots.timeline(history, from_s=5, to_s=6).claim)
    assert plots.timeline(history, from_s=10, to_s=40).claim.endswith(", 1 redelivered")
    assert plots.timeline(history, from_s=10, to_s=40).facts["redelivered"] == "1"
    assert plots.timeline(history, from_s=59.99, to_s=59.995).png()
    with pytest.raises(UnknownName):
        plots.timeline(history, "order-99999")


def test_the_timeline_of_a_refused_request_says_who_refused(histories):
    assert plots.timeline(histories["chain"]).claim == "shop.1 failed: stock was not available"


def test_a_partition_is_owned_or_nobody_is_at_work(histories):
    history = histories["crashed"]
    owned = ownings(history, "billing", 60.0)
    assert {(owning.member, owning.place) for owning in owned} == {
        (f"billing-{n + 1}", f"orders/{n}") for n in range(3)
    }
    assert untended(history, "billing", 60.0) == [("orders/1", 20.0, 32.0)]


def test_faults_that_hit_all_members_alike_are_one():
    write = figures_data.Writer()
    write.event(0.0)
    for member in (1, 2, 3):
        write.row(5.0, "crashed", f"billing-{member}")
        write.row(9.0, "restarted", f"billing-{member}")
    write.row(12.0, "cut", "shop>orders")
    write.row(12.0, "cut", "orders>shop")
    write.row(14.0, "healed", "shop>orders")
    write.row(14.0, "healed", "orders>shop")
    write.row(20.0, "paused", "billing-1")
    faults = faults_of(write.history(30.0), 30.0)
    assert list(map(str, faults)) == [
        "billing down 5 s to 9 s",
        "orders–shop cut 12 s to 14 s",
        "billing-1 paused 20 s to 30 s",
    ]


def test_more_than_six_faults_are_merged_by_kind():
    write = figures_data.Writer()
    write.event(0.0)
    for number in range(9):
        write.row(1.0 + 3 * number, "crashed", "billing-1")
        write.row(2.0 + 3 * number, "restarted", "billing-1")
    assert [fault.name for fault in faults_of(write.history(40.0), 40.0)] == ["9 × down"]


# ---------------------------------------------------------------- the graph of the parts


def test_a_part_that_got_nothing_keeps_its_edge(histories):
    graph = topology_graph(histories["crashed"], 21.0, 31.0)
    assert graph.edges["orders", "billing-2"]["rate"] == 0
    assert plots.topology(histories["crashed"], from_s=21, to_s=31).claim == "billing-2 has been down for 11 s"


def test_rates_on_edges_are_rows_per_second(histories):
    history = histories["crashed"]
    graph = topology_graph(history)
    assert graph.edges["shop", "orders"]["rate"] == pytest.approx(len(history.of("published")) / 60.0)
    reached = sum(graph.edges["orders", f"billing-{n}"]["rate"] for n in (1, 2, 3))
    assert reached == pytest.approx(len(history.of("delivered")) / 60.0)


def test_layers_go_forward_only(histories):
    graph = topology_graph(histories["chain"])
    assert layers(graph) == [["shop"], ["payment"], ["stock"]]
    graph.add_edge("stock", "shop", rate=1.0, lost=0)
    assert layers(graph) == [["shop"], ["payment"], ["stock"]]
    assert not without_circles(graph).has_edge("stock", "shop")


def test_many_members_are_one_box():
    history = figures_data.shop(members=12, partitions=12, until_s=5.0)
    assert set(topology_graph(history)) == {"shop", "orders", "billing"}
    assert topology_graph(history).edges["orders", "billing"]["rate"] > 0


def test_causes_are_a_graph(histories):
    assert set(flow_graph(histories["crashed"], "order-3")) == {"shop.3"}


# ---------------------------------------------------------------- lines and bars


def test_lines_say_mean_and_interval_and_refuse_a_fifth_series():
    figure = plots.compare_lines(
        {"measured": {1: [0.98, 1.0], 2: [0.96, 0.98]}},
        x="services",
        y="answered",
        claim=lambda facts: f"Two services: {facts['theory'].rpartition(' ')[2]}",
        theory={"theory": {1: 0.99, 2: 0.9801}},
    )
    assert figure.claim == "Two services: 0.98"
    mean, low, high = measures.interval([0.98, 1.0])
    assert figure.facts["measured"].startswith(f"1: {digits(mean)} ± {(high - low) / 2:.2g}")
    assert figure.png()
    with pytest.raises(BadScenario, match="one to four"):
        plots.lines({str(n): {1: 1.0} for n in range(5)}, x="x", y="y", claim="")


def test_a_formula_may_be_a_function_and_is_told_where_something_was_measured():
    given = {"x": "x", "y": "y", "claim": "Squares", "series": {"a": {1: 1.0, 3: 9.0}, "b": {2: 4.0}}}
    as_function = plots.lines(theory={"square": lambda at: at * at}, **given)
    as_points = plots.lines(theory={"square": {1: 1, 2: 4, 2.5: 6.25, 3: 9}}, **given)
    assert as_function.facts["square"] == as_points.facts["square"] == "1: 1, 2: 4, 3: 9"
    assert as_function.png() != as_points.png(), "a function is drawn without corners"


def test_as_many_formulas_as_series_have_their_colours():
    series, square = {"a": {1: 1.0, 3: 9.0}, "b": {1: 2.0, 3: 8.0}}, {1: 1, 3: 9}
    for theory, roles in (({"of a": square, "of b": square}, ["flow", "undo"]), ({"of both": square}, ["ink"])):
        figure = plots.lines(series, x="x", y="y", claim="Two", theory=theory)
        assert [role for glyph, role, _ in figure._keys if glyph == "dash"] == roles
        assert_tidy(figure, "light")


def test_bars_and_lines_without_values_say_so():
    assert plots.bars({}, x="duplicates", claim="").claim == "Nothing was measured"
    assert plots.lines({}, x="x", y="y", claim="").claim == "Nothing was measured"
    figure = plots.bars({"a-name-of-24-characters-x": 0.0, "id": 12040}, x="duplicates", claim="Some")
    assert figure.facts == {"a-name-of-24-characters-x": "0", "id": "12 040"}
    assert_tidy(figure, "light")


# ---------------------------------------------------------------- the look


def texts_of(sheet):
    """All words on a sheet that can be seen, with their boxes."""
    renderer = sheet.canvas.get_renderer()
    sheet.canvas.draw()
    found = list(sheet.figure.texts)
    for axes in sheet.figure.axes:
        found += axes.texts
        if not axes.axison:
            continue
        found.append(axes.xaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            ticks = [tick for tick in axis.get_major_ticks() if low - slack <= tick.get_loc() <= high + slack]
            found += [tick.label1 for tick in ticks if tick.label1.get_visible()]
    return [
        (text.get_text(), text.get_window_extent(renderer)) for text in found if text.get_text() and text.get_visible()
    ]


def assert_tidy(figure, theme):
    sheet = figure.sheet(theme)
    texts = texts_of(sheet)
    width, height = sheet.canvas.get_width_height()
    for text, box in texts:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, f"{text!r} leaves the sheet"
    for (one, first), (other, second) in itertools.combinations(texts, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        tall = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide < 3 or tall < 4, f"{one!r} covers {other!r}"


@pytest.mark.parametrize(("matter", "name"), list(itertools.product(HISTORIES, PLOTS)))
def test_no_words_leave_the_sheet_or_cover_each_other(histories, matter, name):
    assert_tidy(PLOTS[name](histories[matter]), "dark" if matter == "crashed" else "light")


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_is_small_and_as_large_as_it_says(histories, name):
    from io import BytesIO

    from PIL import Image

    for theme in ("light", "dark"):
        figure = PLOTS[name](histories["crashed"])
        png = figure.png(theme)
        assert len(png) <= 80 * 1024
        picture = Image.open(BytesIO(png))
        assert picture.mode == "P"
        assert abs(picture.width / picture.height - 900 / figure.height) < 0.01


def luminance(colour):
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_ink_can_be_read_on_every_paper(theme):
    assert all(contrast(theme[role], theme["paper"]) >= 3 for role in ROLES)
    assert contrast(theme["ink"], theme["paper"]) >= 15
    assert contrast(theme["soft"], theme["paper"]) >= 6
    washes = [name for name in theme if name.startswith("wash_")]
    assert all(contrast(theme["ink"], theme[wash]) >= 10 for wash in washes)
    assert set(LIGHT) == set(DARK)


MACHADO = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, vision):
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(MACHADO[vision]) @ linear, 0, 1)
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    f = xyz @ seen / np.array([0.95047, 1, 1.08883])
    f = np.where(f > 216 / 24389, np.cbrt(f), (24389 / 27 * f + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one, other):
    """CIEDE2000."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25**7)))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, stretch * a1)) % 360, np.degrees(np.arctan2(b2, stretch * a2)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    hue = (h1 + turn / 2) % 360
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    t += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * t)
    rotation = (
        -np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2)))) * 2 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    )
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


@pytest.mark.parametrize("vision", MACHADO)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_roles_keep_apart_in_every_eye(theme, vision):
    seen = {role: lab(theme[role], vision) for role in ROLES}
    assert min(difference(seen[a], seen[b]) for a, b in itertools.combinations(ROLES, 2)) >= 12


def test_a_figure_can_be_made_by_hand():
    figure = Figure("A claim", "What is drawn", {"n": "3"}, lambda sheet: sheet.note("drawn"), height=120)
    assert repr(figure) == "A claim\nWhat is drawn\n  n  3"
    assert figure.png()
