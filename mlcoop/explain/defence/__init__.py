"""What stands beside a ranking, so that a hostile referee can test it."""
