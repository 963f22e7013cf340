"""Signed webhooks: what is signed and how, who may be believed, and when to try again (Standard Webhooks).

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Iterable, Mapping

from evsim.patterns.handler import Reject

PREFIX = "whsec_"
TOLERANCE_S = 300.0
"""A request older or newer than this is refused, so that a captured one is of no use later."""

SCHEDULE_S = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
"""How long to wait before each attempt, as the specification suggests: eight in about 28 hours."""

_KEY_BYTES = range(24, 65)


class Gone(Reject):
    """A handler raises this to answer 410: the endpoint wants no more webhooks, and is disabled."""


class BadSignature(Exception):
    """The request may not be believed; the message says why."""


def new_secret(seed: str) -> str:
    """A secret of 32 bytes that is the same for the same seed: for examples; a real one is random."""
    return PREFIX + base64.b64encode(hashlib.sha256(seed.encode()).digest()).decode()


def key_of(secret: str) -> bytes:
    """The bytes of a secret ``whsec_…``, which is base64."""
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret is not base64: expected {PREFIX} and base64 of 24 to 64 bytes") from None


def secret_problem(secret: str) -> str | None:
    """What is wrong with a secret, in a sentence that does not tell it; None when nothing is."""
    try:
        length = len(key_of(secret))
    except ValueError as problem:
        return str(problem)
    if length not in _KEY_BYTES:
        return f"the secret has {length} bytes; expected 24 to 64, as base64 behind {PREFIX}"
    return None


def sign(secret: str, id: str, timestamp: float, payload: str) -> str:  # noqa: A002
    """The signature ``v1,…`` of ``id.timestamp.payload``: HMAC-SHA256, the time in whole seconds."""
    content = f"{id}.{math.floor(timestamp)}.{payload}".encode()
    return "v1," + base64.b64encode(hmac.new(key_of(secret), content, hashlib.sha256).digest()).decode()


def headers_of(secrets: Iterable[str], id: str, timestamp: float, payload: str) -> dict[str, str]:  # noqa: A002
    """The headers of a request; while keys are rotated it has a signature for each secret, with a space between."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(math.floor(timestamp)),
        "webhook-signature": " ".join(sign(secret, id, timestamp, payload) for secret in secrets),
    }


def verify(
    secrets: str | Iterable[str],
    headers: Mapping[str, str],
    payload: str,
    now: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """The id of a request that may be believed; raise ``BadSignature`` for one that may not.

    Any signature by any of the secrets will do, so that each side can change its key when it likes; signatures of
    other versions are passed over. A request is refused when it is older, or newer, than the tolerance.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id_, timestamp, signatures = (given.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not (id_ and timestamp and signatures):
        raise BadSignature("a header is missing; expected webhook-id, webhook-timestamp, webhook-signature")
    try:
        sent = float(timestamp)
    except ValueError:
        raise BadSignature("webhook-timestamp is no number") from None
    if not abs(now - sent) <= tolerance_s:
        raise BadSignature(f"the request is too {'old' if sent < now else 'new'}")
    expected = [sign(secret, id_, sent, payload).encode() for secret in _each(secrets)]
    for signature in signatures.split(" "):
        if any(hmac.compare_digest(signature.encode(), each) for each in expected):
            return id_
    raise BadSignature("no signature fits")


def _each(secrets: str | Iterable[str]) -> list[str]:
    return [secrets] if isinstance(secrets, str) else list(secrets)
