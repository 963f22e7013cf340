"""The figures: functions of a history, one a room; matplotlib is entered when a picture is looked at."""

from evsim.view.plots.anomaly_table import anomaly_table
from evsim.view.plots.causality import causality
from evsim.view.plots.compatibility import compatibility
from evsim.view.plots.completeness import completeness
from evsim.view.plots.coverage import coverage
from evsim.view.plots.cures import cures
from evsim.view.plots.dead_letters import dead_letters
from evsim.view.plots.depth import depth
from evsim.view.plots.divergence import divergence_figure
from evsim.view.plots.durability import durability_price
from evsim.view.plots.heads import heads
from evsim.view.plots.lag import lag
from evsim.view.plots.latency import latency, latency_of
from evsim.view.plots.ledger import ledger
from evsim.view.plots.lines import bars, compare_lines, lines
from evsim.view.plots.linger import linger_curve
from evsim.view.plots.order import order
from evsim.view.plots.ownership import ownership
from evsim.view.plots.rollout import rollout_lanes, rollout_map
from evsim.view.plots.routing import routing
from evsim.view.plots.saga import saga
from evsim.view.plots.side_by_side import side_by_side
from evsim.view.plots.snapshots import snapshot_curve
from evsim.view.plots.staleness import staleness
from evsim.view.plots.storm import storm
from evsim.view.plots.throughput import throughput
from evsim.view.plots.timeline import timeline
from evsim.view.plots.topology import topology

__all__ = [
    "anomaly_table",
    "bars",
    "causality",
    "compare_lines",
    "compatibility",
    "completeness",
    "coverage",
    "cures",
    "dead_letters",
    "depth",
    "divergence_figure",
    "durability_price",
    "heads",
    "lag",
    "latency",
    "latency_of",
    "ledger",
    "lines",
    "linger_curve",
    "order",
    "ownership",
    "rollout_lanes",
    "rollout_map",
    "routing",
    "saga",
    "side_by_side",
    "snapshot_curve",
    "staleness",
    "storm",
    "throughput",
    "timeline",
    "topology",
]
