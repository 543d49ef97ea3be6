"""Alerts: what is watched in the lake, what became of it, and who is told."""
