"""Objects: which fields are read from what is written, under which names, and what becomes of other names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from evsim.schema.algebra import Object, Property, Shape
from evsim.schema.doubts import Doubt, mapping_with, within
from evsim.schema.samples import plainest, with_field, without_field
from evsim.schema.wording import words

Compare = Callable[[Shape, Shape], list[Doubt]]


def objects(doubts_of: Compare, writer: Object, reader: Object) -> Iterator[Doubt]:
    """What of an object may not be read, field by field; ``doubts_of`` compares what the fields hold."""
    for each in reader.fields:
        if each.reads:
            yield from _field(doubts_of, writer, each)
    yield from _unknown(doubts_of, writer, reader)
    yield from _sizes(doubts_of, writer, reader)


def _field(doubts_of: Compare, writer: Object, read: Property) -> Iterator[Doubt]:
    if read.blurred:
        name = read.reads[0]
        yield Doubt((name,), f"{name} is read in a way that is not followed here", tuple(plainest(writer)))
    yield from _extra_field(doubts_of, writer, read)
    for each in (writer.written[name] for name in read.reads if name in writer.written):
        for doubt in doubts_of(each.shape, read.shape):
            yield within(each.name, doubt, with_field, writer, each)
        if each.stray is not None and doubts_of(each.stray, read.shape):
            yield _astray(writer, each, each.stray, read)
        if each.always:
            return
    if read.required:
        yield _missing(writer, read)


def _extra_field(doubts_of: Compare, writer: Object, read: Property) -> Iterator[Doubt]:
    """What an extra name brings that is looked for before a name that is always there."""
    sure = (n for n, name in enumerate(read.reads) if name in writer.written and writer.written[name].always)
    free = [name for name in read.reads[: next(sure, None)] if name not in writer.written]
    if writer.extra == "allow" and free:
        for doubt in doubts_of(writer.extras, read.shape):
            yield within(free[0], doubt, with_field, writer, free[0])


def _unknown(doubts_of: Compare, writer: Object, reader: Object) -> Iterator[Doubt]:
    """What happens with names that the reader does not know."""
    known = {name for each in reader.fields for name in each.reads}
    for name, each in writer.written.items():
        clear = [read for read in reader.fields if name in read.reads
                 and sum(other in writer.written for other in read.reads) == 1]  # fmt: skip
        if clear:
            continue
        found = [value for one in plainest(each.shape) for value in with_field(writer, each, one)]
        if reader.extra == "forbid":
            why = f"{name} is not known, and unknown names are refused" if name not in known else (
                f"{name} may stand beside another name of the same field")  # fmt: skip
            yield Doubt((name,), why, tuple(found))
        elif reader.extra == "allow" and name not in known:
            for doubt in doubts_of(each.shape, reader.extras):
                yield within(name, doubt, with_field, writer, each)
    if writer.extra == "allow" and reader.extra != "ignore":
        free = next(each for each in ("something", "anything", "whatever", "a b") if each not in known)
        if reader.extra == "forbid":
            some = plainest(writer.extras)
            found = [value for one in some for value in with_field(writer, free, one)]
            found += plainest(writer)
            yield Doubt((), "other names may be written, and unknown names are refused", tuple(found))
        else:
            for doubt in doubts_of(writer.extras, reader.extras):
                yield within("{}", doubt, mapping_with, writer, free)


def _sizes(doubts_of: Compare, writer: Object, reader: Object) -> Iterator[Doubt]:
    least = sum(each.always for each in writer.fields if each.written) or writer.fewest
    most = math.inf if writer.extra == "allow" else len(writer.written)
    most = min(most, writer.most) if not writer.fields else most
    same_keys = reader.keys is None or (
        writer.keys is not None and not writer.fields and not doubts_of(writer.keys, reader.keys)
    )
    if writer.extra != "allow" and reader.keys is not None:
        same_keys = all(reader.keys.accepts(name) for name in writer.written)
    if least < reader.fewest or most > reader.most or not same_keys:
        found = list(plainest(writer))
        value = plainest(writer.extras)
        if writer.extra == "allow" and value and reader.most < 1000:
            found.append({f"name{n}": value[0] for n in range(int(reader.most) + 1)})
        found += [{key: value[0]} for key in ("1", "a", "", "A b")] if value and not writer.fields else []
        yield Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(found))


def _astray(writer: Object, wrote: Property, default: Shape, read: Property) -> Doubt:
    why = f"{words(default)} is written as the default, {words(read.shape)} is read"
    return Doubt((wrote.name,), why, tuple(without_field(writer, [wrote.name])), written=True)


def _missing(writer: Object, read: Property) -> Doubt:
    names = [name for name in read.reads if name in writer.written]
    why = "is needed, and never written" if not names else "is needed, and may be left out"
    return Doubt((read.reads[0],), f"{read.reads[0]} {why}", tuple(without_field(writer, names)))
