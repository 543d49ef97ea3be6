"""Anomalies of a series, found row by row: `Detector(season=…).update(timestamp, value)`."""

from lakeward.analysis.anomaly.detector import Detector
from lakeward.analysis.anomaly.verdict import Verdict

__all__ = ["Detector", "Verdict"]
