"""Where the wings meet: scenarios are put together, run, and looked at."""
