"""Planted worlds: panels whose true drivers, shapes and order are known."""
