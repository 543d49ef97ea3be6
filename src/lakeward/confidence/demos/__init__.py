"""Product demos of partners: kept under their hash, looked into by processes that can do no harm.

Its parts are imported by their own names: `blobs` keeps bytes, `partial` takes them in, `work` does
what is to be done with a whole file, in the children that `cell` starts. What a demo is, and what
state it is in, is the app database's business (`store/demos.py`).
"""

from __future__ import annotations
