"""The providers of figures: one module each, `fetch` for bytes and `tidy` for a table."""
