"""Where the wings meet: scenarios are written, run, repeated and compared."""
