"""Chance with names: each component draws from its own stream, which depends on nothing but the seed and its name.

The same seed and name give the same bits on every platform and with every version of Python and numpy. Three things
keep this promise. The raw numbers come from PCG64, whose output numpy guarantees, started from a hash of seed and name.
They become uniforms, and uniforms become values, by arithmetic that IEEE 754 rounds in one way only (see
``evsim.quantiles``). And every value is rounded to a grid, on which sums of times are exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.random import PCG64
from numpy.random.bit_generator import ISeedSequence

from evsim.errors import BadScenario, shown

Array = npt.NDArray[np.float64]

GRID = 2.0**-30
"""The step of simulated time in seconds, 0.93 ns; every drawn value is a multiple of it."""
BLOCKS = (16, 64, 256, 1024, 4096)
"""So many values are drawn at once: few for a stream that is hardly used, many for a busy one."""
SEEDS = 2**64
"""Seeds are below this number."""


def on_grid(seconds: float) -> float:
    """The nearest point on the grid; sums of such times are exact below 2**23 seconds, which is 97 days.

    >>> on_grid(0.1) == round(0.1 / GRID) * GRID
    True
    """
    return round(seconds / GRID) * GRID


class Drawn(Protocol):
    """What a stream can draw: a law that turns uniforms into values, so many for each value."""

    @property
    def needs(self) -> int:
        """How many uniforms one value takes."""

    def drawn(self, uniforms: Array) -> list[Any]:
        """The values that rows of ``needs`` uniforms stand for."""


class Chance:
    """All the chance of one run, by its seed: any whole number from 0 to 2**64 - 1.

    ``draw = Chance(7).draws("billing service", Exponential(0.03))``, and each ``draw()`` is the next service time.
    """

    def __init__(self, seed: Any) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < SEEDS:
            raise BadScenario(f"seed={shown(seed)} is refused; expected a whole number from 0 to 2**64 - 1, such as 7")
        self.seed = int(seed)
        self._streams: dict[str, Stream] = {}

    def draws(self, name: str, law: Drawn) -> Callable[[], Any]:
        """What gives the next value of this law from the stream of this name, each time it is called.

        Who asks again for the same name and law continues the same sequence.
        """
        return self.stream(name).draws(law)

    def uniforms(self, name: str) -> Callable[[], float]:
        """What gives the next number in [0, 1) from the stream of this name, not rounded to the grid."""
        return self.stream(name).draws(UNIFORMS)

    def stream(self, name: str) -> Stream:
        """The stream of this name; always the same one."""
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = Stream(self.seed, name)
        return found


class Stream:
    """One sequence of raw random numbers, by seed and name, from which one law is drawn."""

    __slots__ = ("_bits", "_law", "_next", "name")

    def __init__(self, seed: int, name: str) -> None:
        self.name = name
        start = _Start(hashlib.sha256(f"{seed}/{name}".encode()).digest())
        self._bits = PCG64(start)  # type: ignore[arg-type]  # numpy's stubs forget that any ISeedSequence will do
        self._law: Drawn | None = None
        self._next: Callable[[], Any] | None = None

    def draws(self, law: Drawn) -> Callable[[], Any]:
        """What gives the next value of this law. A stream serves one law only: its sequence has no other reader."""
        if self._next is None:
            if not hasattr(law, "drawn") or not hasattr(law, "needs"):
                raise BadScenario(
                    f"{shown(law)} cannot be drawn; expected a law, such as Exponential(0.03) or Constant(1.0)"
                )
            self._law, self._next = law, chain.from_iterable(self._blocks(law)).__next__
        elif law != self._law:
            raise BadScenario(
                f"the stream {self.name!r} already gives {shown(self._law)} and cannot give {shown(law)} too; "
                "take another name"
            )
        return self._next

    def block(self, count: int) -> Array:
        """The next uniforms, multiples of 2**-53 in [0, 1)."""
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(count)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _blocks(self, law: Drawn) -> Iterator[list[Any]]:
        needs = law.needs
        for count in chain(BLOCKS, repeat(BLOCKS[-1])):
            yield law.drawn(self.block(count * needs).reshape(count, needs))


class _Start(ISeedSequence):
    """Gives a bit generator its first state: 256 bits of a hash, as they are."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        assert n_words * np.dtype(dtype).itemsize == len(self._digest), "PCG64 starts from 256 bits"
        return np.frombuffer(self._digest, dtype="<u8").astype(np.uint64)


class _Uniforms:
    """The uniforms themselves, as a law."""

    needs = 1

    def drawn(self, uniforms: Array) -> list[float]:
        numbers: list[float] = uniforms[:, 0].tolist()
        return numbers

    def __repr__(self) -> str:
        return "uniforms"


UNIFORMS = _Uniforms()
