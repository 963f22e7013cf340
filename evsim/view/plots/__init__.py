"""The figures: functions of a history, one a room; matplotlib is entered when a picture is looked at."""

from evsim.view.plots.latency import latency
from evsim.view.plots.lines import bars, lines
from evsim.view.plots.throughput import throughput
from evsim.view.plots.timeline import timeline
from evsim.view.plots.topology import topology

__all__ = ["bars", "latency", "lines", "throughput", "timeline", "topology"]
