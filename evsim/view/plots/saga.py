"""The waterfall of one saga: what was done and undone, and what the rest of the system saw meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.errors import UnknownName, did_you_mean
from evsim.view.figure import Figure, empty
from evsim.view.ledger import span as span_of
from evsim.view.sagas import Span, Track, tracks
from evsim.view.words import claim_of, count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.patterns.saga import Plan, Step
    from evsim.view.sheet import Key, Sheet

LEFT, RIGHT, TOP, PITCH, SEEN = 196, 872, 92, 34, 28
_KEYS: tuple[Key, ...] = (
    ("bar", "flow", "step"), ("bar", "undo", "compensation"), ("hatch", "again", "failed try, tried again"),
    ("cross", "fault", "failed for good"), ("dot", "wait", "waiting"),
)  # fmt: skip
_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def saga(history: History, key: str | None = None, plan: Plan | None = None) -> Figure:
    """One saga, by its key (None: the one of which there is most to tell); ``plan`` for the choreographed style."""
    found = tracks(history, plan=plan)
    if not found:
        return empty("No saga began in this run", "What was done, undone, and seen meanwhile.")
    if key is None:
        track = max(found, key=lambda each: (len(each.spans), each.turned_s is not None))
    else:
        named = {each.key: each for each in found}
        if key not in named:
            raise UnknownName(f"no saga of {key!r} has begun{did_you_mean(key, named)}")
        track = named[key]
    end = track.ended_s if track.ended_s is not None else span_of(history)[1]
    seed = history.meta.get("seed")
    started = len({span.step for span in track.spans if not span.undo})
    about = f"Saga {track.key}: {count(len(track.plan.flat), 'step')} planned, {started} started"
    subtitle = f"{about}; seed {seed}." if seed is not None else f"{about}."
    height = TOP + PITCH * len(track.plan.flat) + 34 + SEEN * (1 + len(_seen(track, end))) + 52

    def draw(sheet: Sheet) -> None:
        _draw(sheet, track, max(end, track.last_s))

    return Figure(_claim(track), subtitle, _facts(track, end), draw, height=height, keys=_KEYS)


# -------------------------------------------------------------------- words


def _often(number: int) -> str:
    return f"{_WORDS.get(number, str(number))} steps" if number != 1 else "one step"


def _cause(track: Track) -> str:
    """Why the saga turned back."""
    for span in track.spans:
        if not span.undo and span.end_s is not None and span.end_s == track.turned_s and span.how != "done":
            command = track.plan.flat[span.step].do
            told = {"refused": "was refused", "failed": "failed for good", "expired": "never answered"}
            return f"{command} {told.get(span.how, 'failed')}"
    return "A step failed"


def _claim(track: Track) -> str:
    undone = len({span.step for span in track.spans if span.undo and span.how == "done"})
    if track.status == "completed":
        return f"All {_often(len(track.plan.flat))} were done in {si((track.ended_s or 0) - track.began_s, 's')}"
    if track.status == "cancelled":
        cause, newest = _cause(track), ", newest first" if undone > 1 else ""
        return claim_of(f"{cause}, so the saga undid {_often(undone)}{newest}", f"{cause}: the saga turned back")
    if track.status == "stuck":
        return claim_of(f"The saga is stuck: it waits for {track.waits_for}", "The saga is stuck and waits for a human")
    return claim_of(f"The saga still waits for {track.waits_for}", "The saga is still under way")


def _said(number: int, track: Track) -> str:
    """What became of one step, in words."""
    mine = [span for span in track.spans if span.step == number]
    if not mine:
        return "never started"
    told = []
    for undo in (False, True):
        some = [span for span in mine if span.undo is undo]
        if some:
            word: str = ("undone" if undo else "done") if any(s.how == "done" for s in some) else some[-1].how
            word = {"expired": "no answer", "open": "not answered yet"}.get(word, word)
            asked = sum(span.how != "done" for span in some) + any(span.how == "done" for span in some)
            tries = f" ({asked} tries)" if asked > 1 else ""
            told.append(f"{'undo: ' if undo and word != 'undone' else ''}{word}{tries}")
    return ", ".join(told) + (", late" if number in track.late else "")


def _facts(track: Track, end: float) -> dict[str, str]:
    facts = {step.do: _said(number, track) for number, step in enumerate(track.plan.flat)}
    for name, told, _, start, stop, stays in _seen(track, end):
        facts[f"seen: {name}"] = f"{told} from {si(start, 's')} {'on' if stays else 'to ' + si(stop, 's')}"
    lasted = "ended after" if track.ended_s is not None else "open for"
    return {**facts, "the saga": f"{track.status}, {lasted} {si(end - track.began_s, 's')}"}


Seen = tuple[str, str, str, float, float, bool]


def _seen(track: Track, end: float) -> list[Seen]:
    """What others saw: whose, what, in which colour, from when to when since the saga began, and whether it stayed."""
    found: list[Seen] = []
    for number, step in enumerate(track.plan.flat):
        for start, stop in track.held(number)[-1:]:
            noun, word = _fact(step)
            last = end if stop is None else stop
            stays = stop is None and track.status != "cancelled"
            told = word if stop is None else f"{word}, then undone: {si(last - start, 's')}"
            role = "wash_flow" if stop is None else "wash_undo"
            found.append((noun, told, role, start - track.began_s, last - track.began_s, stays))
    return found


def _fact(step: Step) -> tuple[str, str]:
    *_, noun, word = step.done_type.split(".")
    return noun, word.replace("_", " ")


# -------------------------------------------------------------------- the picture


def _draw(sheet: Sheet, track: Track, end: float) -> None:
    from evsim.view.sheet import seconds

    steps, seen = track.plan.flat, _seen(track, end)
    length = max(end - track.began_s, 1e-6) * 1.14
    middle = TOP + PITCH * len(steps)
    axes = sheet.axes(LEFT, TOP, RIGHT, middle, grid="x")
    below = sheet.axes(LEFT, middle + 30, RIGHT, middle + 30 + SEEN * (len(seen) + 1), grid="x")
    for panel, rows in ((axes, len(steps)), (below, len(seen) + 1)):
        panel.set_xlim(0, length)
        panel.set_ylim(rows - 0.5, -0.5)
        panel.set_yticks([])
        panel.tick_params(length=0)
        for side in ("left", "bottom") if panel is axes else ("left",):
            panel.spines[side].set_visible(False)
        seconds(panel.xaxis, length, 9)
    axes.tick_params(labelbottom=False)
    pixel = (RIGHT - LEFT) / length
    for number, step in enumerate(steps):
        if number % 2 == 0:
            axes.axhspan(number - 0.5, number + 0.5, color=sheet.colour["panel"], lw=0, zorder=0.2)
        y = TOP + PITCH * (number + 0.5)
        sheet.fitted(20, y, f"T{number + 1}", 8, "soft", va="center")
        _right(sheet, y, step.do.replace(".", " "))
        _row(sheet, axes, track, number, pixel)
    _turns(sheet, axes, track)
    sheet.text(20, middle + 20, "What the rest of the system sees meanwhile", 9.5, "soft", weight="bold")
    _below(sheet, below, track, seen, (middle + 30, pixel, end - track.began_s, length))
    sheet.name_x(below, "simulated time since the saga began")


def _right(sheet: Sheet, y: float, name: str) -> None:
    from evsim.view.sheet import shorten

    words = sheet.text(LEFT - 10, y, name, 9.5, ha="right", va="center")
    shorten(sheet, words, LEFT - 10 - 48)


def _row(sheet: Sheet, axes: Any, track: Track, number: int, pixel: float) -> None:
    """One step: its tries, its wait, its undo."""
    from evsim.view import brush

    mine = [span for span in track.spans if span.step == number]
    if not mine:
        axes.text(6 / pixel, number, "never started", style="italic", va="center", fontsize=8.5,
                  color=sheet.colour["soft"])  # fmt: skip
        return
    began, before = track.began_s, -1.0
    step = track.plan.flat[number]
    for span in mine:
        start, stop = span.start_s - began, (span.end_s if span.end_s is not None else track.last_s) - began
        if 0 <= before < start:
            axes.plot([before, start], [number, number], ls=(0, (1, 1.6)), lw=2, color=sheet.colour["wait"], zorder=2)
        before = stop
        name = str(step.undo) if span.undo else step.do
        if span.how == "done":
            if span.step in track.late and not span.undo and start == stop:
                sheet.tag(axes, (stop, number), "done after all", move=(-6, 0), fontsize=8.5, ha="right")
            word = name.partition(".")[0] if span is mine[-1] or not span.undo else ""
            _bar(sheet, axes, (start, max(stop, start + 3 / pixel)), number, span, word, pixel)
            continue
        given_up = [each for each in mine if each.undo is span.undo and each.how not in {"done", "open"}]
        last = span is given_up[-1] if given_up else False
        final = last and not any(
            each.how == "done" and each.undo is span.undo and each.end_s != each.start_s for each in mine
        )
        look = ("wash_fault", "fault", None) if final else ("paper", "again", "/////")
        fill, edge, hatch = ("paper", "wait", None) if span.how == "open" else look
        brush.bar(sheet, axes, start, max(stop, start + 3 / pixel), number, 0.52, fill=fill, edge=edge, hatch=hatch)
        if final:
            brush.mark(sheet, axes, [(stop, number)], "X", "fault", 8)
            told = {"refused": "refused", "failed": "failed", "expired": "no answer"}.get(span.how, span.how)
            following = [each.start_s - began for each in mine if each.start_s >= span.start_s and each is not span]
            if (min(following, default=RIGHT / pixel) - stop) * pixel > 90 and stop * pixel < RIGHT - LEFT - 90:
                sheet.tag(axes, (stop, number), told, move=(10, 0), fontsize=8.5)


def _bar(sheet: Sheet, axes: Any, ends: tuple[float, float], y: int, span: Span, name: str, pixel: float) -> None:
    """A step that was done is a bar; its undo points back in time."""
    from matplotlib.patches import Polygon

    start, stop = ends
    colour, half = sheet.colour["undo" if span.undo else "flow"], 0.26
    tip = min(8 / pixel, (stop - start) / 2) if span.undo else 0.0
    corners = [(start, y), (start + tip, y - half), (stop, y - half), (stop, y + half), (start + tip, y + half)]
    corners = corners if span.undo else [(start, y - half), *corners[2:4], (start, y + half)]
    axes.add_patch(Polygon(corners, closed=True, fc=colour, ec="none", zorder=3))
    words = axes.text((start + stop) / 2, y, name, ha="center", va="center", fontsize=8.5, weight="bold",
                      color=sheet.colour["paper"], zorder=5)  # fmt: skip
    if sheet.width_of(words) > (stop - start) * pixel - 8:
        words.remove()
        if stop * pixel < RIGHT - LEFT - 80 and span.undo:
            sheet.tag(axes, (stop, y), name, move=(6, 0), fontsize=8.5)


def _turns(sheet: Sheet, axes: Any, track: Track) -> None:
    """The way from step to step, and back."""
    done = sorted((s for s in track.spans if s.end_s is not None), key=lambda s: (s.start_s, s.step))
    for now in done:
        causes = [s for s in done if s.end_s is not None and s.end_s <= now.start_s and s.step != now.step]
        before = max(causes, key=lambda s: s.end_s or 0.0, default=None)
        if before is None or now.number > 1 or abs((before.end_s or 0.0) - now.start_s) > 1e-9:
            continue
        x = now.start_s - track.began_s
        colour = sheet.colour["undo" if now.undo else "lane"]
        axes.plot([x, x], [before.step, now.step], color=colour, lw=1.0, zorder=1.5, solid_capstyle="butt")


def _below(sheet: Sheet, axes: Any, track: Track, seen: list[Seen], sizes: tuple[float, float, float, float]) -> None:
    """What others see: each effect while it lasts, and the status of the whole."""
    from evsim.view import brush

    top, pixel, end, length = sizes
    for row, (name, told, role, start, stop, stays) in enumerate(seen):
        _right(sheet, top + SEEN * (row + 0.5), name)
        last = length if stays else stop
        brush.bar(sheet, axes, start, last, row, 0.62, fill=role, edge=role)
        room = (last - start) * pixel - 8
        if brush.inside(sheet, axes, start + 6 / pixel, row, told, room, fontsize=8.5) is None:
            late = last * pixel > 0.6 * (RIGHT - LEFT)
            at, move, side = (start, -6, "right") if late else (last, 6, "left")
            sheet.tag(axes, (at, row), told, move=(move, 0), fontsize=8.5, ha=side)
    row = len(seen)
    _right(sheet, top + SEEN * (row + 0.5), f"{track.plan.noun} status")
    turned = None if track.turned_s is None else track.turned_s - track.began_s
    parts = [("pending", "wash_again", 0.0, turned if turned is not None else end)]
    if turned is not None:
        parts.append(("cancelling", "wash_undo", turned, end))
    if track.ended_s is not None:
        role = {"completed": "wash_done", "stuck": "wash_fault"}.get(track.status, "panel")
        parts.append((track.status, role, end, length))
    else:
        name, role, start, _ = parts.pop()
        parts.append((name, role, start, length))
    for name, role, start, stop in parts:
        brush.bar(sheet, axes, start, stop, row, 0.62, fill=role, edge=role)
        brush.inside(sheet, axes, start + 6 / pixel, row, name, (stop - start) * pixel + 2, fontsize=8.5)
