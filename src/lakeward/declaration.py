"""Files in which an app declares something of itself: `flows.toml`, `alerts.toml`.

In: a path, and the setting that names it where one does. Out: the TOML document. Fails with
`SettingError` that names the file and the mend.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lakeward.errors import SettingError


def content_of(path: Path, setting: str, *, named: bool) -> bytes | None:
    """The bytes of a file; None where there is none and no setting names it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not named:
            return None
        raise SettingError(f"{setting} names {path}, which is not there") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None


def document_of(content: bytes, where: str) -> dict[str, Any]:
    """The document in the bytes of a file; `where` names it in errors."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingError(f"{where} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
        raise SettingError(f"{where} is not TOML: {str(error)[:200]}") from None
