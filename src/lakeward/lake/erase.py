"""Erasing a person: every store forgets them, in an order that nothing can slip through.

In: ids of a person, and the stores. Out: a receipt in two stages, hidden and gone. A store that
is away or refuses leaves the erasure waiting, and another run goes on with it; a kill between any
two steps does the same. `LakeBusy` when another erasure runs, `NotDurable` when the rings cannot
be drained.

    write down → suppress → drain the rings → log, quarantine → barrier → others → log again → gone
                 hidden ┘             nobody reads them there ┘       nobody delivers them ┘

Suppressed first: whatever reads the log afterwards leaves the person out. The barrier waits for
those who read before. What reached the log meanwhile is taken out by the sweep. Each run moves
the suppression's time on, so that all stores lose the same: all that was recorded until the
erasure ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from uuid_utils import uuid7

from lakeward import barrier, suppression
from lakeward.errors import LakewardError, Terminal
from lakeward.interaction import iso
from lakeward.lake import receipt as book
from lakeward.lake.receipt import Receipt, StoreNote
from lakeward.lakedir import LakeDir
from lakeward.person import Eraser, Kind, Person

NOBODY = frozenset({"", "anonymous"})
"""What stands in a record where nobody is named."""
FLAGS: dict[str, Kind] = {
    "user": "user_id", "session": "session_id", "anonymous": "anonymous_id"
}  # fmt: skip


class Stores(msgspec.Struct, frozen=True):
    """Every store that holds personal data. `source` is what others are filled from (log and
    quarantine): it goes first."""

    source: Sequence[Eraser]
    others: Sequence[Eraser]


class Setting(msgspec.Struct, frozen=True):
    """Where an erasure runs, and what it does not know itself."""

    lake: LakeDir
    stores: Stores
    drain: Callable[[], list[str]]
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    pause: Callable[[str], None] = lambda _: None


def named(kind: Kind, value: str) -> Person:
    """A person by one id; Terminal for a value that stands for everybody."""
    if value in NOBODY:
        raise Terminal(f"{value!r} names nobody: give the id of one person")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Terminal("the id is no text in UTF-8, so no record can hold it") from None
    return Person(kind, value)


def begin(setting: Setting, people: Sequence[Person]) -> Receipt:
    """Erase `people` now; what is not done at once is done by `go_on`."""
    with book.alone(setting.lake):
        erasure_id = str(uuid7(nanoseconds=setting.now_ms() * 1_000_000))
        book.ask(setting.lake, erasure_id, people)
        setting.pause("asked")
        return _run(setting, erasure_id)


def go_on(setting: Setting) -> list[Receipt]:
    """Continue every erasure that is waiting."""
    with book.alone(setting.lake):
        return [_run(setting, erasure_id) for erasure_id in book.asked(setting.lake)]


def _run(setting: Setting, erasure_id: str) -> Receipt:
    people = book.people(setting.lake, erasure_id)
    receipt = _known(setting, erasure_id, people)
    if not receipt.gone_at:
        receipt = _hide(setting, receipt, people)
        receipt = msgspec.structs.replace(receipt, unseen=tuple(setting.drain()))
        setting.pause("drained")
        receipt = _erase(setting, receipt, people, setting.stores.source)
        with barrier.erasing(setting.lake):
            setting.pause("barrier")
        receipt = _erase(setting, receipt, people, setting.stores.others)
        receipt = _erase(setting, receipt, people, setting.stores.source)
        if not all(note.done for note in receipt.stores):
            return receipt
        receipt = msgspec.structs.replace(receipt, gone_at=iso(setting.now_ms()))
        book.save(setting.lake, receipt)
        setting.pause("gone")
    book.forget(setting.lake, erasure_id)
    return receipt


def _known(setting: Setting, erasure_id: str, people: Sequence[Person]) -> Receipt:
    """The receipt so far; a new one when the first run was killed before it wrote any."""
    try:
        return book.load(setting.lake, erasure_id)
    except Terminal:
        hashed = tuple((person.kind, suppression.hashed(setting.lake, person)) for person in people)
        receipt = Receipt(erasure_id, hashed, iso(setting.now_ms()))
        book.save(setting.lake, receipt)
        return receipt


def _hide(setting: Setting, receipt: Receipt, people: Sequence[Person]) -> Receipt:
    for person in people:
        suppression.add(setting.lake, person, setting.now_ms())
    setting.pause("suppressed")
    if not receipt.hidden_at:
        receipt = msgspec.structs.replace(receipt, hidden_at=iso(setting.now_ms()))
        book.save(setting.lake, receipt)
    return receipt


def _erase(
    setting: Setting, receipt: Receipt, people: Sequence[Person], stores: Iterable[Eraser]
) -> Receipt:
    """Let each store forget; one that cannot now keeps nobody else waiting."""
    for store in stores:
        receipt = receipt.noted(_asked(store, people))
        book.save(setting.lake, receipt)
        setting.pause(f"erased {store.name}")
    return receipt


def _asked(store: Eraser, people: Sequence[Person]) -> StoreNote:
    note = StoreNote(store.name, done=True)
    for person in people:
        try:
            gone = store.erase(person)
        except LakewardError as error:
            return msgspec.structs.replace(note, done=False, error=str(error))
        except OSError as error:
            return msgspec.structs.replace(note, done=False, error=error.strerror or "the disk")
        note = msgspec.structs.replace(
            note, records=note.records + gone.records,
            remains=gone.remains or note.remains, until=max(gone.until, note.until),
        )  # fmt: skip
    return note


def verify(setting: Setting, receipt: Receipt, people: Sequence[Person]) -> dict[str, int]:
    """How much each store holds of these people now; Terminal when the receipt is not theirs."""
    hashed = {(person.kind, suppression.hashed(setting.lake, person)) for person in people}
    if not hashed <= set(receipt.people):
        raise Terminal(f"erasure {receipt.erasure_id} was of somebody else")
    stores = (*setting.stores.source, *setting.stores.others)
    return {store.name: sum(store.find(person) for person in people) for store in stores}
