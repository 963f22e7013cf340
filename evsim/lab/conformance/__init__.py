"""What real brokers promise, as cases that are played on ours: given X, set to Y, hit by Z, one must (not) see W."""
