"""A backup is made while the lake goes on, and a lake made of it holds what had been there."""
from __future__ import annotations
