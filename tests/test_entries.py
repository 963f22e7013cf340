"""What waits in a queue, against a list that is sorted anew each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evsim.sim.broker.entries import PLAIN, Entry, Grouped, Ready

STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "pop", "back", "tail", "remove"]), st.integers(0, 3)), max_size=60
)


def entry_of(number, **marks):
    entry = Entry(number, PLAIN, None, {})
    entry.number = entry.order = number
    for name, value in marks.items():
        setattr(entry, name, value)
    return entry


@given(STEPS)
def test_who_is_next_is_the_first_by_rank_and_place(steps):
    ready, model, out, count = Ready(), [], [], 0
    for step, rank in steps:
        if step == "append":
            entry = entry_of(count, rank=rank)
            count += 1
            ready.append(entry)
            model.append(entry)
        elif step == "pop" and model:
            model.sort(key=lambda each: (-each.rank, each.order))
            out.append(ready.pop())
            assert out[-1] is model.pop(0)
        elif step in {"back", "tail"} and out:
            entry = out.pop(rank % len(out))
            if step == "tail":
                entry.order, count = count, count + 1
            ready.put_back(entry)
            model.append(entry)
        elif step == "remove" and model:
            entry = model.pop(rank % len(model))
            ready.remove(entry)
        assert len(ready) == len(model)
        assert (ready.first() is None) == (not model)
    assert ready.clear() == sorted(model, key=lambda each: (-each.rank, each.order))


@given(STEPS)
def test_of_a_group_one_is_out_and_the_oldest_free_group_is_next(steps):
    ready, model, out, count = Grouped(), [], [], 0

    def free():
        busy = {entry.group for entry in out}
        return sorted((each for each in model if each.group not in busy), key=lambda each: each.order)

    for step, group in steps:
        if step == "append":
            entry = entry_of(count, group=str(group))
            count += 1
            ready.append(entry)
            model.append(entry)
        elif step == "pop" and free():
            expected = free()[0]
            assert ready.pop() is expected
            model.remove(expected)
            out.append(expected)
        elif step == "back" and out:
            entry = out.pop(group % len(out))
            ready.put_back(entry)
            model.append(entry)
        elif step == "tail" and out:
            ready.free(out.pop(group % len(out)).group)
        assert len(ready) == len(model)
        assert ready.first() is (free()[0] if free() else None)
