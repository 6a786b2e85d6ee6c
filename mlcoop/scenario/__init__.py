"""What if a factor were otherwise: a scenario file, the model asked, and where it is kept."""
