"""Patterns of event-driven systems, pure: functions of an event and a state that know no clock and no broker."""
