"""Drawings of the pages as inline SVG."""
