"""Sections of the page and their tables."""
