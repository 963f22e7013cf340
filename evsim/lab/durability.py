"""What durability costs here and now: appends to a real SQLite store, timed by the clock of this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from evsim.errors import BadScenario
from evsim.event import Event
from evsim.store.sqlite import Durability, SQLiteStore

ALL: tuple[Durability, ...] = get_args(Durability)


def append_times(
    durabilities: Iterable[Durability] = ALL, *, appends: int = 500, rounds: int = 5, folder: str | Path | None = None
) -> dict[str, list[float]]:
    """Seconds an append takes, of one event, for each durability: the mean of each of some rounds, taken in turn.

    The stores are files in ``folder`` (None: where temporary files lie, which may be memory: then no disk is waited
    for), and are gone afterwards. These are wall-clock times: no two machines, and no two runs, say the same.
    """
    if appends < 1 or rounds < 1:
        raise BadScenario(f"appends={appends} and rounds={rounds} are refused; expected numbers from 1")
    wanted = list(durabilities)
    found: dict[str, list[float]] = {durability: [] for durability in wanted}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        stores = {each: SQLiteStore(Path(place) / f"{each}.db", each) for each in wanted}
        try:
            for turn in range(rounds):
                for durability, store in stores.items():
                    found[durability].append(_mean_s(store, turn, appends))
        finally:
            for store in stores.values():
                store.close()
    return found


def _mean_s(store: SQLiteStore, turn: int, appends: int) -> float:
    events = [
        Event(f"shop.{turn * appends + n}", "order.placed", n / 8, "shop", {"n": n}, key=f"order-{n}")
        for n in range(appends)
    ]
    began = time.perf_counter()
    for event in events:
        store.append("order-1", event)
    return (time.perf_counter() - began) / appends
