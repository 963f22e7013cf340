"""What Hypothesis draws for more than one room."""

import math

from hypothesis import strategies as st

from evsim.event import _FIRST_S, _LAST_S, _UNFIT, DEPTH_MAX, INTEGER_MAX, VERSION_MAX, Event
from evsim.lab.schedule_sense import overlaps

WORDS = st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True)
VERBS = st.sampled_from(["place", "take", "reserve", "send", "read", "split", "refund"])
PARTICIPLES = st.sampled_from(["placed", "taken", "reserved", "sent", "read", "split", "timed_out", "part-paid"])
NOUNS = st.sampled_from(["order", "payment", "stock", "parcel", "invoice_line"])

types = st.one_of(
    st.builds("{}.{}".format, VERBS, NOUNS),
    st.builds("{}.{}".format, NOUNS, PARTICIPLES),
    st.builds("{}.{}.{}".format, WORDS, NOUNS, PARTICIPLES),
)
texts = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and not _UNFIT.search(text))
timestamps = st.one_of(
    st.floats(0, 1e6),
    st.integers(0, 2**40).map(lambda steps: steps / 2**30),
    st.floats(_FIRST_S, math.nextafter(_LAST_S, 0)),
)
numbers = st.one_of(
    st.integers(-INTEGER_MAX - 1, INTEGER_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=20))
payloads = st.dictionaries(
    st.text(max_size=10),
    st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
        max_leaves=10,
    ),
    max_size=5,
)
events = st.builds(
    Event,
    id=texts,
    type=types,
    timestamp=timestamps,
    source=texts,
    data=payloads,
    version=st.integers(1, VERSION_MAX),
    key=st.none() | texts,
    correlation_id=st.none() | texts,
    causation_id=st.none() | texts,
)
"""Any valid event."""

assert DEPTH_MAX > 10, "st.recursive stays flatter than this"


def possible(faults):
    """Those of these faults that do not strike what is down already."""
    while places := [place for place, _ in overlaps(faults)]:
        faults = [fault for place, fault in enumerate(faults) if place != places[0]]
    return faults
