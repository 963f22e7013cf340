"""Where a student shows an answer and hears, in words, whether the promise held.

    ev.classroom.check("03.2", my_handler)

A room of exercises is ``evsim/classroom/exercises/exercises_NN.py`` for notebook NN, with one name, ``EXERCISES``.
"""

from evsim.classroom.exercise import Exercise, Outcome, broken, held, unproved
from evsim.classroom.shelf import check

__all__ = ["Exercise", "Outcome", "broken", "check", "held", "unproved"]
