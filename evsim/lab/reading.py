"""Orders written to a log and read from a read model: the right one, and two with a checkpoint in a wrong place."""

from __future__ import annotations

from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log
from evsim.sim.clients import Clients
from evsim.sim.projection import Projection

READ_MODEL = Scenario(
    Clients(
        "customers",
        to="orders",
        views=("orders-view",),
        rate=8,
        sessions=40,
        read_after_s=Constant(0.2),
        read_s=Constant(0.005),
        write_read_s=Constant(0.05),
    ),
    Log("orders"),
    Projection("orders-view", of="orders", service_s=Exponential(0.1), inbox=True),
    name="read-model",
)

READ_MODEL_FORGETS = READ_MODEL.replace("orders-view", checkpoint="before").called("read-model-forgets")
READ_MODEL_DOUBLES = READ_MODEL.replace("orders-view", checkpoint="after", inbox=False).called("read-model-doubles")
