"""A line of text that names a run, so that anybody can run it again bit for bit.

``hello~s7~60~4f1ca09e2b71`` is the scenario *hello* of the catalogue with seed 7 for 60 seconds, whose history has a
digest that begins 4f1ca09e2b71; ``s7t5`` would have what is simultaneous shuffled by 5. Any other scenario is packed
into the token itself (``p.`` and base64), or, where its functions live in a notebook, only named by its digest
(``n.``): then the notebook must replay it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evsim.errors import BadScenario, BadToken, UnknownName, shown
from evsim.lab import file, plain
from evsim.lab.marks import BYTES_MAX

if TYPE_CHECKING:
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario

LENGTH_MAX = 64 * 1024
DIGITS = 12
_SHAPE = re.compile(
    r"(?P<which>[^~\s]+)~s(?P<seed>\d{1,20})(?:t(?P<ties>\d{1,20}))?~(?P<until>[0-9.e+-]{1,30})~(?P<digest>[0-9a-f]{12}|partial)"
)
_EXAMPLE = "hello~s7~60~4f1ca09e2b71"


@dataclass(frozen=True)
class Token:
    """What a token says: which scenario, seed and end, and how the digest of the history begins (None: not known)."""

    which: str
    seed: int
    until_s: float
    digest: str | None
    ties: int = 0

    def scenario(self) -> Scenario:
        """The scenario that the token names or holds, or BadToken."""
        if self.which.startswith("n."):
            raise BadToken(
                "this run has functions that live where it was made, so the token only names it; "
                "replay it there with scenario.replay(token)"
            )
        if self.which.startswith("p."):
            return _unpacked(self.which[2:])
        from evsim.lab import catalog

        try:
            return catalog.get(self.which)
        except UnknownName as problem:
            raise BadToken(f"the token begins with {shown(self.which)}, but {problem}") from None


def token_of(run: Run) -> str:
    """The token of a run; of one that was interrupted, the token of the whole run it is a part of."""
    digest = "partial" if run.interrupted else run.digest()[:DIGITS]
    ties = f"t{run.ties}" if run.ties else ""
    return f"{_which(run.scenario)}~s{run.seed}{ties}~{_number(run.until_s)}~{digest}"


def _number(until_s: float) -> str:
    return str(int(until_s)) if until_s.is_integer() and until_s < 1e15 else repr(until_s)


def _which(scenario: Scenario) -> str:
    from evsim.lab import catalog

    if catalog.CATALOG.get(scenario.name) == scenario:
        return scenario.name
    if plain.own_functions(scenario.parts):
        return f"n.{scenario.digest()[:DIGITS]}"
    try:
        document = file.document(scenario.name, scenario.parts)
    except BadScenario:
        return f"n.{scenario.digest()[:DIGITS]}"
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    packed = "p." + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")
    return packed if len(packed) < LENGTH_MAX // 2 else f"n.{scenario.digest()[:DIGITS]}"


def _unpacked(text: str) -> Scenario:
    from evsim.lab.scenario import Scenario

    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        plain_text = unpacker.decompress(packed, BYTES_MAX)
        whole = unpacker.eof and not unpacker.unused_data
        document = plain_text.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError):
        whole, document = False, ""
    if not whole:
        raise BadToken("the scenario in this token cannot be unpacked; copy the whole token again")
    try:
        return Scenario.from_json(document, "the token")
    except BadScenario as problem:
        raise BadToken(f"the scenario in this token cannot be read by this evsim\n{problem}") from None


def parse(text: str) -> Token:
    """What a token says, or BadToken and one sentence."""
    if len(text) > LENGTH_MAX:
        raise BadToken(f"this is no token; expected a line of text such as {_EXAMPLE}")
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise BadToken(f"{shown(text.strip())} is no token; expected scenario~seed~seconds~digest, such as {_EXAMPLE}")
    try:
        until_s = float(match["until"])
    except ValueError:
        until_s = math.nan
    seed, ties = int(match["seed"]), int(match["ties"] or 0)
    if not 0 < until_s < math.inf or max(seed, ties) >= 2**64:
        raise BadToken(f"the token asks for seed {seed} and {match['until']} seconds, which cannot be; copy it again")
    return Token(match["which"], seed, until_s, None if match["digest"] == "partial" else match["digest"], ties)


@dataclass(frozen=True, repr=False)
class Replay:
    """A run that was run again, and whether it is the same (None: the first run was not whole)."""

    run: Run
    same: bool | None
    expected: str | None

    def __str__(self) -> str:
        digest = self.run.digest()[:DIGITS]
        if self.run.interrupted:
            return "stopped before its end: nothing can be said about the rest"
        if self.same is None:
            return f"the first run was stopped before its end; this is the whole run, digest {digest}"
        if self.same:
            return f"the same run, digit for digit: digest {digest}"
        other = f"not the same run: digest {digest}, but the token says {self.expected}"
        return f"{other}; was it made by another version of evsim?"

    __repr__ = __str__


def replay(text: str, scenario: Scenario | None = None, progress: bool | None = None) -> Replay:
    """Run again what the token names; ``scenario`` is needed where its functions live in a notebook."""
    token = parse(text)
    if scenario is None:
        scenario = token.scenario()
    elif token.which != _which(scenario):
        raise BadToken(
            f"the token names another scenario than {scenario.name!r}, or one whose functions did something else"
        )
    run = scenario.start(token.seed, token.ties).run_until(token.until_s, progress and not token.ties).finish()
    same = None if token.digest is None or run.interrupted else run.digest().startswith(token.digest)
    return Replay(run, same, token.digest)
