"""The wing where we look at what happened: it reads histories and nothing else."""
