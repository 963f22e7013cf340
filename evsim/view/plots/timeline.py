"""What happened to these events: the space-time diagram, one lane for each node, time to the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evsim.view.figure import Figure, empty
from evsim.view.scene import FOCUS_MAX, Scene
from evsim.view.sheet_size import LANES_TOP
from evsim.view.telling import Telling, most_telling
from evsim.view.words import count, grouped, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

PITCH, LANES_HEIGHT = 38.0, 430.0
"""Pixels from lane to lane, and all lanes together at most."""
_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("first", "line", "flow", "delivery"),
    ("again", "dash", "again", "redelivery"),
    ("lost", "cross", "fault", "lost, crashed"),
    ("done", "bar", "done", "work"),
    ("cut", "pale", "done", "work cut off"),
    ("open", "pale", "done", "asked, unanswered"),
    ("hatched", "hatch", "again", "repeated"),
    ("effect", "diamond", "undo", "effect"),
    ("commit", "tick", "ink", "acknowledged"),
    ("wait", "dot", "wait", "waiting"),
    ("ignored", "open", "wait", "nothing to do"),
)
_KEYS_MAX = 8
_FINE = {"wait", "ignored"}
"""Shown of the focus only."""


def timeline(history: History, *names: str, from_s: float | None = None, to_s: float | None = None) -> Figure:
    """The space-time diagram of these events or orders (``"shop.3"``, ``"order-3"``), or of a window of time.

    Without either it shows the most telling event: handled or delivered twice, else lost, else the first.
    """
    if not history.event_count:
        return empty("Nothing was published in this run", "There is no event to follow.")
    focus, title = _focus(history, names, windowed=from_s is not None or to_s is not None)
    scene = Scene(history, focus, _window(history, focus, from_s, to_s))
    telling = Telling(history, focus)
    low, high = scene.window
    facts = _facts(history, focus, telling) if focus else _window_facts(scene)
    seed = history.meta.get("seed")
    subtitle = _subtitle(scene, title, bool(focus)) + (f"; seed {seed}." if seed is not None else ".")
    claim = telling.claim(title) if focus else _window_claim(scene, low, high)
    steps = telling.steps if focus else []
    pitch = min(PITCH, LANES_HEIGHT / scene.units)
    bottom = LANES_TOP + pitch * (scene.units - 0.35)
    height = int(bottom + 48 + (16 + 21 * ((len(steps) + 2) // 3) if steps else 0))

    def draw(sheet: Sheet) -> None:
        from evsim.view.plots.lanes import draw_lanes

        draw_lanes(sheet, scene, steps, pitch, bottom)

    return Figure(claim, subtitle, facts, draw, height=height, keys=_keys(scene))


def _focus(history: History, names: tuple[str, ...], *, windowed: bool) -> tuple[list[int], str]:
    """The events to follow, and what to call them."""
    if names:
        found = list(dict.fromkeys(index for name in names for index in history.about(name).tolist()))
        return found[:FOCUS_MAX], names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    if windowed:
        return [], ""
    telling = most_telling(history)
    return ([telling], history.id_of(telling)) if telling is not None else ([], "")


def _window(history: History, focus: list[int], from_s: float | None, to_s: float | None) -> tuple[float, float] | None:
    if from_s is None and to_s is None:
        return None
    low, high = Scene(history, focus).window
    low, high = low if from_s is None else from_s, high if to_s is None else to_s
    return (low, high) if high > low else (low, low + 1.0)


# -------------------------------------------------------------------- words


def _facts(history: History, focus: list[int], telling: Telling) -> dict[str, str]:
    facts = {"event": ", ".join(history.id_of(index) for index in focus)}
    keys = list(dict.fromkeys(key for index in focus if (key := history.key_of(index)) is not None))
    facts |= {"key": ", ".join(keys)} if keys else {}
    for word, steps in (
        ("delivered", ("delivered",)),
        ("skipped", ("skipped",)),
        ("handled", ("handled",)),
        ("effects", ("effect",)),
        ("lost", ("dropped",)),
    ):
        number = telling.counted(*steps)
        if number or word in {"delivered", "handled"}:
            facts[word] = grouped(number)
    facts["took"] = si(telling.took_s, "s")
    told = {str(number): f"{step.time:.3f} s  {step.text}" for number, step in enumerate(telling.steps, start=1)}
    seed = history.meta.get("seed")
    return facts | told | ({"seed": str(seed)} if seed is not None else {})


def _window_facts(scene: Scene) -> dict[str, str]:
    return {
        "events": grouped(scene.others),
        "redelivered": grouped(len(scene.again)),
        "lost or refused": grouped(len(scene.lost)),
    }


def _window_claim(scene: Scene, low: float, high: float) -> str:
    when = f"from {si(low, 's')} to {si(high, 's')}"
    if not scene.others:
        return f"Nothing happened {when}"
    odd = [(len(scene.again), "redelivered"), (len(scene.lost), "lost or refused")]
    wrong = "".join(f", {grouped(number)} {word}" for number, word in odd if number)
    return f"{count(scene.others, 'event')} {when}{wrong}"


def _subtitle(scene: Scene, title: str, focused: bool) -> str:
    low, high = scene.window
    of = f"{si(high - low, 's')} of the run"
    if not focused:
        return f"{'Every event is drawn' if scene.arrows_shown else 'Shaded; one by one only what went wrong'}. {of}"
    others = f"thin: {count(scene.others, 'other event')}" if scene.others else "nothing else nearby"
    if not scene.others_shown:
        others = f"shade: how much went on, {count(scene.others, 'other event')}"
    elif not scene.arrows_shown:
        others = f"pale: the work on {count(scene.others, 'other event')}"
    return f"Thick: {title}; {others}. {of}"


def _keys(scene: Scene) -> tuple[Key, ...]:
    """Only what is there to see."""
    low, _ = scene.window
    drawn = scene.focus if not scene.arrows_shown else {hop.event for hop in scene.hops}
    odd = {"again", "lost", "refused"}
    there = {hop.kind for hop in scene.hops if hop.end_s >= low and (hop.event in drawn or hop.kind in odd)}
    kinds = {work.kind for work in scene.works if work.end_s >= low and (work.event in drawn or work.kind not in _FINE)}
    there |= kinds - {"wait"} | (
        {"wait"} if any(w.kind == "wait" and w.event in scene.focus for w in scene.works) else set()
    )
    there |= {"lost"} if "refused" in there or any(outage.step == "crashed" for outage in scene.outages()) else set()
    there |= {"hatched"} if kinds & {"skipped", "again"} else set()
    there |= {"commit"} if any(moment.event in drawn for moment in scene.commits) else set()
    there |= {"effect"} if any(moment.event in drawn for moment in scene.effects) else set()
    return tuple((glyph, role, label) for kind, glyph, role, label in _KEYS if kind in there)[:_KEYS_MAX]
