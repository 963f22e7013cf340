"""What the type of an event says: a wish or a fact, and how far it travels.

===========  =======================  =====================  ============================  =================
kind         grammar                  example                handled by                    leaves its context
===========  =======================  =====================  ============================  =================
command      verb.noun                ``take.payment``       exactly one, who may refuse   yes, to that one
domain       noun.participle          ``order.placed``       anyone inside the context     no
integration  context.noun.participle  ``shop.order.placed``  anyone, it is a contract      yes
===========  =======================  =====================  ============================  =================
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from evsim.errors import BadEvent, shown

Kind = Literal["command", "domain", "integration"]

TYPE_LENGTH = 200


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAME_FORMS = _words(
    """
    beat become bet bid broadcast burst cast come cost cut fit forecast hit hurt let put quit read reset run set shed
    shut split spread upset wed
    """
)
"""Participles that are also the plain verb: both ``read.meter`` and ``meter.read`` are good."""

IRREGULAR = SAME_FORMS | _words(
    """
    beaten begun bent bitten blown born bound bought broken brought built burnt caught chosen dealt done drawn dreamt
    driven eaten fallen fought felt flown forbidden forgiven forgotten found frozen given gone got gotten grown heard
    held hidden hung kept known laid lain learnt left lent lit lost made meant met mistaken overdrawn overdue overridden
    oversold overtaken overthrown paid proven rebuilt redone remade repaid resent resold retaken rewritten ridden risen
    rung said seen sent sewn shaken shone shot shown shrunk slept sold sought sown spent spoken spun stolen stood struck
    stuck sunk sung sworn swept swum taken taught thought thrown told torn understood undone unpaid unsold won woken
    worn withdrawn withheld written
    """
)
NOT_PARTICIPLES = _words(
    "bed bleed breed deed embed exceed feed heed hundred need proceed red seed shred speed succeed weed"
)
PARTICLES = _words("away back by down in off on out over through up")
"""Small words that may follow a participle: ``payment.timed_out``."""

PURE_NOUNS = _words(
    "account basket cart courier customer delivery inventory item payment product shipment user warehouse"
)
NOUNS_AND_VERBS = _words("order parcel stock ticket")
ACTIONS = {
    "accept": "accepted", "add": "added", "approve": "approved", "cancel": "cancelled", "capture": "captured",
    "charge": "charged", "close": "closed", "complete": "completed", "confirm": "confirmed", "create": "created",
    "decline": "declined", "delete": "deleted", "deliver": "delivered", "fail": "failed", "make": "made",
    "open": "opened", "pack": "packed", "pay": "paid", "place": "placed", "receive": "received", "refund": "refunded",
    "register": "registered", "reject": "rejected", "release": "released", "remove": "removed", "reserve": "reserved",
    "return": "returned", "send": "sent", "ship": "shipped", "start": "started", "stop": "stopped",
    "submit": "submitted", "take": "taken", "update": "updated", "void": "voided",
}  # fmt: skip
"""Verbs that a shop uses, with their participles, so that a refusal can name the fix."""

_TYPE = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")


@lru_cache(maxsize=4096)
def kind_of(type: str) -> Kind:  # noqa: A002 - it is what the field is called
    """What an event of this type is, or BadEvent when no event may have this type."""
    if not _TYPE.fullmatch(type) or len(type) > TYPE_LENGTH:
        raise BadEvent(_malformed(type))
    *_, last = words = type.split(".")
    if is_participle(last):
        return "domain" if len(words) == 2 else "integration"
    if len(words) > 2:
        fact = ".".join([*words[:-1], _participle(last)])
        raise BadEvent(
            f"type {shown(type)} does not end with a past participle; a fact for other contexts is called like "
            f"{shown(fact)}, a command has two words like 'place.order'"
        )
    first = words[0]
    if is_participle(first) and first not in SAME_FORMS:
        raise BadEvent(f"type {shown(type)} has its words turned round; call the fact {shown(f'{last}.{first}')}")
    if first in PURE_NOUNS or (first in NOUNS_AND_VERBS and last in ACTIONS):
        fact, command = f"{first}.{_participle(last)}", f"{last}.{first}"
        raise BadEvent(
            f"type {shown(type)} is neither a fact nor a command; call the fact {shown(fact)} "
            f"or the command {shown(command)}"
        )
    return "command"


def has_one_handler(kind: Kind) -> bool:
    """Whether exactly one handler must take it: a command asks somebody; an event tells whoever listens."""
    return kind == "command"


def crosses_boundary(kind: Kind) -> bool:
    """Whether it may leave its context: a domain event may not; publish an integration event for others."""
    return kind != "domain"


def is_participle(word: str) -> bool:
    """Whether this word says that something has happened: ``placed``, ``paid``, ``timed_out``, ``part-paid``."""
    *rest, last = re.split("[_-]", word)
    if rest and last in PARTICLES:
        last = rest[-1]
    return last in IRREGULAR or (last.endswith("ed") and len(last) > 2 and last not in NOT_PARTICIPLES)


def _participle(verb: str) -> str:
    """A guess that a refusal may offer."""
    if verb in ACTIONS:
        return ACTIONS[verb]
    if verb.endswith(("e", "y")):
        return f"{verb}d" if verb.endswith("e") else f"{verb[:-1]}ied"
    return f"{verb}ed"


def _malformed(type: str) -> str:  # noqa: A002
    if len(type) > TYPE_LENGTH:
        return f"type {shown(type)} has {len(type)} characters; at most {TYPE_LENGTH} are allowed, like 'order.placed'"
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", type)] if type.isascii() else []
    if len(words) == 1 and _TYPE.fullmatch(f"x.{words[0]}"):
        word = words[0]
        better = f"order.{word}" if is_participle(word) else f"{word}.order" if word in ACTIONS else f"{word}.created"
    elif len(words) > 1 and _TYPE.fullmatch(".".join(words)):
        better = ".".join(words)
    else:
        better = "order.placed"
    return f"type {shown(type)} is not lower-case words joined by dots — did you mean {shown(better)}?"
