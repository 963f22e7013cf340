"""The wing where things happen: the only place that imports simpy."""
