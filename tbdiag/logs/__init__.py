"""Directories -> runs: discovery, merging of sub-runs, restarts, remote file systems, refresh."""
