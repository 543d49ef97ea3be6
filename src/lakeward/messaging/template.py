"""Templates of messages: files in one folder.

In: a folder with `<name>.sms.txt`, `<name>.email.txt` (whose first line is `Subject: …`) and,
beside that one, `<name>.email.html`; with a language as `<name>.<language>.sms.txt`. Out: the text
for some values. `Rejected` names the template and the placeholder, never a value. A placeholder is
`{{ name }}` and nothing else: there is no logic that could fail once the message is accepted.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import Rejected, SettingError
from lakeward.messaging.message import Channel

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
FILE = re.compile(rf"({NAME.pattern})(?:\.({LANGUAGE.pattern}))?\.(sms|email)\.txt")
SUBJECT = re.compile(r"Subject: *(\S.*)")
SMS_LENGTH: Final = 1600
SUBJECT_LENGTH: Final = 200
EMAIL_LENGTH: Final = 1_000_000

Values = Mapping[str, str | int | float]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One template as its files say; `version` is a hash of them."""

    name: str
    channel: Channel
    language: str | None
    version: str
    subject: str
    text: str
    html: str | None

    def placeholders(self) -> list[str]:
        """The names it needs, in the order they stand."""
        every = PLACEHOLDER.findall("\n".join((self.subject, self.text, self.html or "")))
        return list(dict.fromkeys(every))

    def render(self, values: Values) -> Rendered:
        """The message for these values."""
        where = f"the template {self.name}.{self.channel}"
        plain = {name: _shown(name, value) for name, value in values.items()}
        if missing := [name for name in self.placeholders() if name not in plain]:
            raise Rejected(f"{where} needs values for {', '.join(missing)}")
        subject = _filled(self.subject, plain)
        text = _filled(self.text, plain)
        if not subject.isprintable():
            raise Rejected(f"a value in the subject of {where} has a line break or control sign")
        if len(subject) > SUBJECT_LENGTH:
            raise Rejected(f"the subject of {where} is longer than {SUBJECT_LENGTH} characters")
        most = SMS_LENGTH if self.channel == "sms" else EMAIL_LENGTH
        if not text.strip() or len(text) > most:
            raise Rejected(f"the text of {where} must have 1 to {most} characters")
        marked = None
        if self.html is not None:
            marked = _filled(self.html, {name: html.escape(v) for name, v in plain.items()})
            if len(marked) > EMAIL_LENGTH:
                raise Rejected(f"the HTML of {where} is longer than {EMAIL_LENGTH} characters")
        return Rendered(subject=subject, text=text, html=marked)


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says."""

    subject: str
    text: str
    html: str | None


class Templates:
    """The templates of a folder; a file is read when it is asked for. What is not there may be in
    the folder `behind` it."""

    def __init__(self, folder: Path, behind: Path | None = None) -> None:
        self.folder = folder
        self._behind = behind

    def find(self, name: str, channel: Channel, language: str | None = None) -> Template:
        """The template in a language, else without one."""
        if not NAME.fullmatch(str(name)):
            raise Rejected("a template's name is lower-case letters, digits, _ and -")
        if language is not None and not LANGUAGE.fullmatch(str(language)):
            raise Rejected("`language` must be like en or pt-BR")
        for spoken in dict.fromkeys((language, None)):
            stem = f"{name}.{spoken}.{channel}" if spoken else f"{name}.{channel}"
            for folder in (self.folder, self._behind):
                if folder and (text := _read(folder / f"{stem}.txt")) is not None:
                    return _made(name, channel, spoken, text, _read(folder / f"{stem}.html"))
        raise Rejected(
            f"there is no template {name}.{channel}.txt: `lakeward outbox templates` shows the "
            "folder and what is in it"
        )

    def all(self) -> list[Template]:
        """Every template, by name."""
        if not self.folder.is_dir():
            raise SettingError(
                f"LAKEWARD_TEMPLATES: there is no folder {self.folder}: make it or name another"
            )
        found = []
        for path in sorted(self.folder.iterdir()):
            if match := FILE.fullmatch(path.name):
                channel: Channel = "sms" if match[3] == "sms" else "email"
                found.append(self.find(match[1], channel, match[2]))
        return found


def _made(
    name: str, channel: Channel, language: str | None, text: str, marked: str | None
) -> Template:
    if channel == "sms":
        marked = None
    version = hashlib.blake2b(f"{text}\0{marked}".encode(), digest_size=6).hexdigest()
    subject = ""
    if channel == "email":
        first, _, text = text.partition("\n")
        if not (head := SUBJECT.fullmatch(first.rstrip())):
            raise Rejected(f"the first line of {name}.email.txt must be like `Subject: Welcome`")
        subject = head[1]
    return Template(
        name=name, channel=channel, language=language, version=version, subject=subject,
        text=text.strip("\n"), html=marked,
    )  # fmt: skip


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(
            f"the template {path.name} cannot be read ({type(error).__name__})"
        ) from None


def _filled(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Rejected(f"the value of {name!r} must be text or a number")
    return storable(f"the value of {name!r}", str(value))


def storable(what: str, text: str) -> str:
    """The text, when a database can hold it."""
    if not is_storable(text):
        raise Rejected(f"{what} holds a NUL or half of a character")
    return text


def is_storable(text: str) -> bool:
    """Whether there is no NUL in it, and no half of a character."""
    return not ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text))
