"""Lakeward: own every interaction of a Python web app in an open data lake.

The package face: what applications import. Nothing inside the package imports from here.
"""

from lakeward.collector import Collector
from lakeward.errors import LakewardError, NotDurable, Rejected, SettingError, Terminal, Transient
from lakeward.version import VERSION

__version__ = VERSION

__all__ = [
    "Collector",
    "LakewardError",
    "NotDurable",
    "Rejected",
    "SettingError",
    "Terminal",
    "Transient",
    "__version__",
]
