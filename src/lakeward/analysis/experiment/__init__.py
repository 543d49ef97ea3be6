"""Experiments: statistics of arms in, effects with their uncertainty and a verdict out."""
