"""Outcomes -> report: explaining away, ranking, the next experiment, the note, the verdict."""
