"""Nightly reports over shared trees of runs: state, scheduling, history, site, notifications."""
