"""Families of studies: one file to many configs, and the folders that hold their comparison."""
