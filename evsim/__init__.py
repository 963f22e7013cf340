"""evsim: a lab for event-driven architecture."""
