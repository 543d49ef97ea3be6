"""Feature flags and experiments: who sees what, decided in the process, told to the lake.

In: definitions from a file or the app database, and attributes of whoever is served. Out: a value,
and once for each unit an `experiment_exposure`. Nothing is raised into the app; an evaluation
neither reads nor waits. The provider for OpenFeature is in `lakeward.flags.provider`.
"""

from lakeward.flags.client import Flags
from lakeward.flags.evaluate import Evaluation
from lakeward.flags.feature import read_json, read_toml
from lakeward.flags.memory import MemorySticky
from lakeward.flags.source import FileSource, FixedSource, Source
from lakeward.flags.sticky import StickyStore

__all__ = [
    "Evaluation",
    "FileSource",
    "FixedSource",
    "Flags",
    "MemorySticky",
    "Source",
    "StickyStore",
    "read_json",
    "read_toml",
]
