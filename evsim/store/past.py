"""What stands in a store, as a history: to be told, measured and drawn like a run."""

from __future__ import annotations

from evsim.history import History
from evsim.store.recorder import Store, category_of


def history_of(store: Store, name: str = "store") -> History:
    """A history in which every event that the store shows was published by its source and stored in its stream.

    Its clock begins with the first event, and does not go back where a timestamp does.
    """
    history, begin_s, now_s = History(), None, 0.0
    history.record(0.0, history.code("started", "run"))
    for each in store.read_all():
        event, place = each.event, category_of(each.stream)
        begin_s = event.timestamp if begin_s is None else begin_s
        now_s = max(now_s, event.timestamp - begin_s)
        index = history.add(event)
        history.record(now_s, history.code("published", event.source, name), index)
        history.record(now_s, history.code("stored", name, place), index, each.version)
    history.record(now_s, history.code("stopped", "run"))
    history.meta["name"] = name
    return history
