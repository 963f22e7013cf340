"""A short text that names a run and replays it, bit for bit.

``hello~7~60~4f1ca09e2b71``: a scenario of the catalogue, the seed, the end in seconds, the first digits of the digest of the
history. Other scenarios travel in the token themselves, packed: ``z…~7~60~4f1ca09e2b71``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from evsim.errors import BadScenario, BadToken

if TYPE_CHECKING:
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario

DIGITS = 12
UNPACKED_MAX = 2**20
_TOKEN = re.compile(r"([A-Za-z0-9_=-]+)~(\d{1,20})~([0-9.e+-]{1,30})~([0-9a-f]{12})")


class Named(NamedTuple):
    """What a token says."""

    scenario: Scenario
    seed: int
    until_s: float
    digest: str


def write(run: Run) -> str:
    """The token of a run; BadToken when its scenario cannot leave this session."""
    if run.interrupted:
        raise BadToken("an interrupted run has no token: nobody can interrupt at the same moment again; run it to its end")
    return f"{_name(run.scenario)}~{run.seed}~{run.until_s!r}~{run.history.digest()[:DIGITS]}"


def _name(scenario: Scenario) -> str:
    from evsim.lab.catalog import CATALOG  # noqa: PLC0415

    if CATALOG.get(scenario.name) == scenario:
        return scenario.name
    try:
        text = json.dumps(scenario.to_dict(), separators=(",", ":"), ensure_ascii=True)
    except BadScenario as problem:
        raise BadToken(f"this run can be replayed only where it was made: {problem}") from None
    return "z" + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()


def read(token: str) -> Named:
    """What a token says, or BadToken."""
    match = _TOKEN.fullmatch(token.strip())
    if match is None:
        raise BadToken(f"{token[:40]!r} is no token; expected scenario~seed~seconds~digest, as run.token gives it")
    name, seed, until, digest = match.groups()
    try:
        until_s = float(until)
    except ValueError:
        raise BadToken(f"{until!r} in the token is not a number of seconds; copy the token again") from None
    return Named(_scenario(name), int(seed), until_s, digest)


def _scenario(name: str) -> Scenario:
    from evsim.lab.catalog import CATALOG  # noqa: PLC0415
    from evsim.lab.scenario import Scenario  # noqa: PLC0415

    if name in CATALOG:
        return CATALOG[name]
    if not name.startswith("z"):
        raise BadToken(f"no scenario called {name!r} in the catalogue of this version; known: {', '.join(CATALOG)}")
    try:
        machine = zlib.decompressobj()
        text = machine.decompress(base64.urlsafe_b64decode(name[1:]), UNPACKED_MAX)
        if machine.unconsumed_tail or not machine.eof:
            raise ValueError
        return Scenario.from_json(text.decode())
    except (binascii.Error, zlib.error, ValueError) as problem:
        reason = f": {problem}" if isinstance(problem, BadScenario) else ""
        raise BadToken(f"the token is damaged: its scenario cannot be unpacked{reason}; copy it again") from None


def replay(token: str) -> tuple[Run, bool]:
    """Run again what a token names: the run, and whether it is the same digit for digit."""
    named = read(token)
    run = named.scenario.run(until_s=named.until_s, seed=named.seed)
    return run, run.history.digest().startswith(named.digest)
