"""The figures: functions of a history, one a room."""
