"""Tables that users bring: counts, ready panels, and counts that came after a forecast."""
