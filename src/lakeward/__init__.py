"""Lakeward: own every interaction of a Python web app in an open data lake.

The package face: what applications import. Nothing inside the package imports from here. The
collector is loaded by the first who asks for it: keepers and commands, which import the package,
too, mostly have no need of it and start in half the time.
"""

from typing import TYPE_CHECKING, Any

from lakeward.errors import LakewardError, NotDurable, Rejected, SettingError, Terminal, Transient
from lakeward.version import VERSION

if TYPE_CHECKING:
    from lakeward.collector import Collector

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


def __getattr__(name: str) -> Any:
    if name != "Collector":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lakeward.collector import Collector

    globals()[name] = Collector
    return Collector


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
