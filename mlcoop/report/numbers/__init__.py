"""The plain values of a report, gathered from the tables of an experiment."""
