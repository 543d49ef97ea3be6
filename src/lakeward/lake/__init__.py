"""Answers from the lake: what a day holds, and any question in SQL (`lakeward.lake.sql`)."""

from __future__ import annotations

from lakeward.lake.answer import sql

__all__ = ["sql"]
