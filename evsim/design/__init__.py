"""Events as they are designed, before any code: a catalogue, its rules, and what a run makes of it.

``EventCatalogue(EventType(…), Entity(…))`` is a value; ``lint()`` asks the rules of names, owners, causes and states;
``compare(history)`` sets the design beside what happened.
"""

from evsim.design.catalogue import EventCatalogue
from evsim.design.entry import Entity, EventType
from evsim.design.finding import Finding, Lint
from evsim.design.observed import Comparison

__all__ = ["Comparison", "Entity", "EventCatalogue", "EventType", "Finding", "Lint"]
