"""Bytes of one event file -> columns. Knows nothing of runs."""
