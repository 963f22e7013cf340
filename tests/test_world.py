"""The world: SimPy's own processes beside light calls, on one clock."""

from __future__ import annotations

import pytest
import simpy

from evsim.sim.world import World


def test_a_users_process_and_light_calls_share_the_clock_and_the_order_of_scheduling():
    world, said = World(), []

    def clerk(env):
        said.append(("clerk", env.now))
        yield env.timeout(1)
        said.append(("clerk", env.now))

    world.process(clerk(world))
    world.call_at(1.0, lambda arg: said.append((arg, world.now)), "light")
    world.call_in(0.5, lambda arg: said.append((arg, world.now)), "early")
    world.run()
    assert said == [("clerk", 0), ("early", 0.5), ("light", 1.0), ("clerk", 1)]


def test_ties_break_by_order_of_scheduling():
    world, said = World(), []
    for n in range(5):
        world.call_at(1.0, said.append, n)
    world.run()
    assert said == [0, 1, 2, 3, 4]


def test_a_run_in_pieces_or_steps_is_the_same_run():
    def ticks(world: World) -> list[float]:
        times: list[float] = []

        def tick(_: None) -> None:
            times.append(world.now)
            world.call_in(0.25, tick)

        world.call_at(0.0, tick)
        return times

    whole, pieces = World(), World()
    expected, got = ticks(whole), ticks(pieces)
    whole.run(until=3)
    pieces.run(until=1)
    pieces.step()
    pieces.run(until=3)
    assert got == expected
    assert len(got) == 12


def test_until_an_event_gives_its_value():
    world = World()
    assert world.run(until=world.timeout(2, value="done")) == "done"
    assert world.now == 2


def test_an_until_in_the_past_is_refused():
    world = World(initial_time=5)
    with pytest.raises(ValueError, match="must be greater"):
        world.run(until=5)


def test_interrupt_stops_before_the_next_event_and_the_run_can_go_on():
    world, said = World(), []
    world.call_at(1.0, said.append, "one")
    world.call_at(1.0, lambda _: world.interrupt())
    world.call_at(1.0, said.append, "two")
    world.run(until=3)
    assert world.interrupted
    assert said == ["one"]
    world.run(until=3)
    assert said == ["one", "two"]


def test_a_failing_process_ends_the_run_with_its_own_exception():
    world = World()

    def broken(env):
        yield env.timeout(1)
        raise KeyError("broken")

    world.process(broken(world))
    with pytest.raises(KeyError, match="broken"):
        world.run()


def test_it_is_a_simpy_environment():
    assert isinstance(World(), simpy.Environment)
