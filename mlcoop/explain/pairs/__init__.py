"""What factors expect of single pairs, and which pairs lie beyond it."""
