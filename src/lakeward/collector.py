"""The collector: the one object an application holds. It scrubs, encodes and puts into the ring.

In: an interaction's type and fields. Out: its id once it is in shared memory, where no death of
this process can lose it; None when it was disabled, sampled out, dropped or rejected, each with a
reason and a count. Nothing here waits on disk, network or another process, and nothing raises into
the application, except `commit`, whose purpose it is.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import UNSET
from uuid_utils import uuid7

from lakeward import rollout
from lakeward.attachment import Attachment, Holder
from lakeward.catalog import TYPES, Call, Conversation, arrange, call
from lakeward.content import Contents, is_policed
from lakeward.errors import LakewardError, NotDurable, Rejected, SettingError
from lakeward.interaction import (
    EARLIEST_NS,
    FIELDS,
    LATEST_NS,
    ApiCall,
    Clock,
    Interaction,
    JsonObject,
    Moments,
    adopt_id,
    clamp,
    id_ms,
    iso,
)
from lakeward.ledger import Reason
from lakeward.privacy import Policy, Scrubber, ScrubFailed
from lakeward.ring import CONTENDED, FULL, PUT, QUARANTINED, TOO_LARGE
from lakeward.rollout import ALL, Shares, covers
from lakeward.settings import Settings, load
from lakeward.trace import CURRENT, Cause
from lakeward.usual_turn import UsualTurns

logger = logging.getLogger("lakeward")

OUTCOMES = frozenset(name for name, spec in TYPES.items() if spec.outcome)
OWN_FIELDS = frozenset(name for spec in TYPES.values() for name in spec.own)
"""Declared names are not sensitive by how they sound (`time_to_first_token_ms`); what stands in
them is looked at all the same."""
HEAD = FIELDS[:5]
"""Fields that Lakeward writes itself; the host's callable does not see them."""
FEATURE_OF = (
    dict.fromkeys(OUTCOMES, rollout.OUTCOMES)
    | dict.fromkeys(rollout.BROWSER_TYPES, rollout.BROWSER_EVENTS)
    | {"api_call": rollout.API_CALLS}
)
"""The kind of collection that a type belongs to, for gradual rollout."""
REFUSALS = {
    FULL: Reason.full,
    CONTENDED: Reason.contended,
    TOO_LARGE: Reason.too_large,
}
GIVEN = ("timestamp", "interaction_id")
RETRY_NS = 5_000_000_000


class Received(msgspec.Struct, frozen=True):
    """What a server knows of an interaction better than its sender, scrubbed."""

    at: str
    address: str | None
    user_agent: str | None


class Collector:
    """Records interactions of this process into a lake.

    One per application; safe to share between threads, tasks and forked workers. Use as a context
    manager, or call `close()`; at interpreter exit it closes itself.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        scrub: Callable[[JsonObject], JsonObject] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings
        self._collects = settings.collect
        self._outcomes_off = not settings.track_outcomes
        self.clock = Clock(now_ns)
        self.now_ns = now_ns
        self._stamp = self.clock.stamp
        self._moments = Moments()
        self._encode = msgspec.json.Encoder(enc_hook=plain).encode
        self._environment = settings.environment
        self._app_version = settings.app_version
        self._service = settings.service
        self._shares = rollout.configured(settings)[0]
        self._attachment: Holder | None = None
        self._opening = threading.RLock()
        self._attaching = False
        self._retry_ns = 0
        self._closed = False
        self._complaints: dict[str, float] = {}
        self._disabled = 0
        self._unplaced = {"no_ring": 0, "closed": 0}
        self.salts: Callable[[str], bytes] | None = None
        policy = _policy(settings)
        self.scrubber = Scrubber(policy, salt=self.salt, hook=scrub)
        self.contents = Contents(settings, policy)
        """What is kept of the content of AI conversations."""
        self._usual = UsualTurns(self.contents)
        self._clean = self.scrubber.clean
        self._hooked = scrub is not None
        self._hides_addresses = settings.ip != "full"
        if self._collects:
            self._hook()

    def _hook(self) -> None:
        """Be told when the process forks and when it ends."""
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _in_child(me))
        atexit.register(_at_exit, me)

    @classmethod
    def from_env(cls, *, scrub: Callable[[JsonObject], JsonObject] | None = None) -> Self:
        """A collector from environment and `.env.<environment>`; never raises for either.

        A setting that cannot be read switches collection off, with a warning that names it:
        guessing could store what a privacy setting was meant to keep out.
        """
        try:
            settings = load()
        except SettingError as error:
            logger.warning("lakeward: collection is off: %s", error)
            settings = load({"ENABLE_DATA_COLLECTION": "false"}, Path(os.devnull))
        return cls(settings, scrub=scrub)

    def record(self, interaction_type: str, /, **fields: Any) -> str | None:
        """Record one interaction and return its id, or None when it was not kept.

        `fields` are the record's fields and those of the type (see `docs/types.md`); names that
        are neither are kept under `properties`. `timestamp` (ISO 8601) and `interaction_id` may be
        given for something that happened earlier or elsewhere. While a captured call or a job
        runs, what is recorded joins it: trace, parent, session and user are its own unless given.
        """
        if not self._collects:
            self._disabled += 1
            return None
        given: JsonObject = {}
        try:
            if self._outcomes_off and interaction_type in OUTCOMES:
                self.count(Reason.disabled)
                return None
            cause = CURRENT.get()
            if cause is not None:
                join(fields, cause)
            if self.leaves_out(interaction_type, fields):
                return None
            if "timestamp" in fields or "interaction_id" in fields:
                given = {name: fields.pop(name) for name in GIVEN if name in fields}
            made, now_ns = self._made(interaction_type, fields, given)
            if given:  # the keeper is looked after by the clock, not by when something happened
                now_ns = self.now_ns()
            return self._append(self._encode(made), str(made.interaction_id), now_ns)
        except Rejected as error:
            self._quarantine(interaction_type, str(error), fields | given)
        except ScrubFailed as error:
            self.blame(Reason.scrub_failed, error)
        except Exception as error:
            self.blame(Reason.unencodable, error)
        return None

    def record_turn(self, fields: JsonObject, interaction_id: str, timestamp: str) -> str | None:
        """As `record` for an `ai_conversation`, of which this collector's clock told the time and
        the id when it began; `fields` are used up."""
        try:
            if (cause := CURRENT.get()) is not None:
                join(fields, cause)
            now_ns = self.now_ns()
            made = None
            if self._collects and not self._hooked:
                made = self._usual.finished(fields, self.shares(now_ns))
            if made is not None:
                made.interaction_id = interaction_id
                made.timestamp = timestamp  # type: ignore[assignment]  # text, as it is written
                made.environment = self._environment
                made.app_version = self._app_version
                made.interaction_type = "ai_conversation"
                if self._service:
                    made.service = self._service
                return self._append(self._encode(made), interaction_id, now_ns)
        except Exception as error:
            self.blame(Reason.unencodable, error)
            return None
        fields["interaction_id"], fields["timestamp"] = interaction_id, timestamp
        return self.record("ai_conversation", **fields)

    def _made(
        self, interaction_type: str, fields: JsonObject, given: JsonObject
    ) -> tuple[Call | Conversation | Interaction, int]:
        """A finished record and its time; Rejected, or whatever scrubbing raises."""
        now_ns = self.now_ns()
        if not EARLIEST_NS <= now_ns <= LATEST_NS:
            now_ns = self.clock.now()
        given_id = timestamp = None
        if given:
            now_ns, given_id, timestamp = self._given(given, fields, now_ns)
        if timestamp is None:
            timestamp = self._stamp(now_ns)
        made: Call | Conversation | Interaction | None = None
        if interaction_type == "api_call" and not self._hooked:
            self._clean(fields)
            made = call(fields)
        elif interaction_type == "ai_conversation" and not self._hooked:
            made = self._usual.finished(fields, self.shares(self.now_ns()))
        if made is None:
            made = self._arranged(interaction_type, fields)
        if made.ip_address is not UNSET and self._hides_addresses:
            made.ip_address = self.scrubber.address(made.ip_address, timestamp[:10])
        interaction_id = given_id or str(uuid7(nanoseconds=now_ns))
        made.interaction_id = interaction_id
        made.timestamp = timestamp
        if made.environment is UNSET:
            made.environment = self._environment
        if made.app_version is UNSET:
            made.app_version = self._app_version
        made.interaction_type = interaction_type
        if self._service:
            made.service = self._service
        return made, now_ns

    def shares(self, now_ns: int) -> Shares:
        """The rollout's shares, at most two seconds old, as the keeper says them."""
        attachment = self._attachment or self.attach()
        if attachment is None:
            return self._shares
        if not attachment.looked_ns <= now_ns <= attachment.next_look_ns:
            attachment.ensure_keeper()
        return attachment.shares

    def leaves_out(self, interaction_type: str, fields: JsonObject) -> bool:
        """Whether a rollout does not cover the user of this interaction yet; then it is counted.

        A user without an id is its session; what has neither is drawn by lot.
        """
        feature = FEATURE_OF.get(interaction_type) if type(interaction_type) is str else None
        if feature is None:
            return False
        now_ns = self.now_ns()
        shares = self.shares(now_ns)
        if shares[feature] >= ALL:
            return False
        user = fields.get("user_id")
        if not user or user == "anonymous":  # the record's word for a user that is not known
            user = fields.get("anonymous_id") or fields.get("session_id")
        if covers(shares, feature, str(user or now_ns)):
            return False
        self.count(Reason.sampled)
        return True

    @property
    def has_hook(self) -> bool:
        """Whether the host's own callable sees every record."""
        return self._hooked

    def moment(self, timestamp: str) -> tuple[int, bool]:
        """ns since 1970 of a timestamp, and whether it can stand in a record as it is."""
        ms, finished = self._moments.ms(timestamp)
        return ms * 1_000_000, finished and clamp(ms) == ms

    def prepare(
        self, interaction_type: str, fields: JsonObject, received: Received | None = None
    ) -> bytes:
        """The finished line of one interaction, which is not recorded yet, for `put_batch`.

        `fields` are as `record` takes them, and used up; what the server knows itself overrules
        them. Raises Rejected when the type refuses them, and whatever scrubbing and encoding raise.
        """
        given = {name: fields.pop(name) for name in GIVEN if name in fields}
        made = self._made(interaction_type, fields, given)[0]
        if received is not None:
            made.received_at = received.at
            made.ip_address = received.address
            if made.user_agent is UNSET and received.user_agent is not None:
                made.user_agent = received.user_agent
        return self._encode(made)

    def received(self, address: str | None, user_agent: str | None) -> Received:
        """What a server knows of the interactions that it receives now, fit to be stored."""
        at = self.clock.stamp(self.clock.now())
        scrubber = self.scrubber
        return Received(
            at,
            scrubber.address(address, at[:10]),
            None if user_agent is None else scrubber.text(user_agent),
        )

    def put_batch(self, lines: list[bytes]) -> bool:
        """Put prepared lines into the ring, all or, when there is no room, none of them."""
        attachment = self._attachment or self.attach()
        if attachment is None:
            self._miss(len(lines))
            return False
        attachment.ensure_keeper()
        outcome = attachment.ring.append(b"\n".join(lines), count=len(lines))
        if outcome != PUT:
            attachment.ring.count(REFUSALS[outcome], len(lines))
        return outcome == PUT

    def set_aside(self, interaction_type: str, reason: str, fields: JsonObject) -> None:
        """Put what was refused into the quarantine, scrubbed, with the reason; never raises."""
        try:
            self._quarantine(interaction_type, reason, fields)
        except Exception as error:
            self.blame(Reason.unencodable, error)

    def record_or_raise(self, interaction_type: str, /, **fields: Any) -> str | None:
        """As `record`, but an invalid interaction raises `Rejected` in development."""
        if not self._collects:
            self._disabled += 1
            return None
        told = not (self._outcomes_off and interaction_type in OUTCOMES)
        if told and self.settings.environment == "development":
            try:
                arrange(interaction_type, fields)
            except Rejected:
                self.count(Reason.rejected)
                raise
        return self.record(interaction_type, **fields)

    def _arranged(self, interaction_type: str, fields: JsonObject) -> Interaction:
        """Fields that need a closer look, each in its place, checked and scrubbed."""
        make = ApiCall if interaction_type == "api_call" else Interaction
        if self._hooked:
            ai = is_policed(interaction_type)
            scrubber = self.contents.scrubber if ai else self.scrubber
            fields = self.scrubber.hooked(self._shown(fields, scrubber))
        arranged = dict(arrange(interaction_type, fields))
        content: JsonObject = {}
        if is_policed(interaction_type):
            now_ns = self.now_ns()
            shares = self.shares(now_ns)
            content, sampled = self.contents.settle(interaction_type, arranged, shares, str(now_ns))
            if sampled:  # as a body that is left out: one more that was offered
                self.count(Reason.sampled)
        self.scrubber.clean(arranged)
        arranged |= content
        environment = arranged.pop("environment", self._environment)
        version = arranged.pop("app_version", self._app_version)
        return make("", "", environment, version, interaction_type, **arranged)

    def _shown(self, fields: JsonObject, scrubber: Scrubber) -> JsonObject:
        """What the host's callable sees: scrubbed, numbers still numbers for their type's sake."""
        shown = dict(fields)
        scrubber.clean(shown)
        return shown | {name: v for name, v in fields.items() if isinstance(v, Decimal)}

    def _given(
        self, given: JsonObject, fields: JsonObject, now_ns: int
    ) -> tuple[int, str | None, str | None]:
        """Time and id that the caller set. A time outside the lake's years is moved into them and
        kept as `client_timestamp`; an id of ours without a time brings its own."""
        text, identifier = given.get("timestamp"), given.get("interaction_id")
        timestamp: str | None = None
        if text is not None:
            try:
                ms, finished = self._moments.ms(text if type(text) is str else _text_of(text))
                if clamp(ms) != ms:
                    fields.setdefault("client_timestamp", iso(ms))
            except (ValueError, AttributeError, OverflowError):
                raise Rejected(
                    "`timestamp` must be ISO 8601 text such as 2025-08-14T16:11:28.677Z."
                ) from None
            if finished and clamp(ms) == ms:
                timestamp = text
            now_ns = clamp(ms) * 1_000_000
        if identifier is None:
            return now_ns, None, timestamp
        adopted = adopt_id(str(identifier), now_ns // 1_000_000)
        if text is None:
            now_ns = id_ms(adopted) * 1_000_000
        return now_ns, adopted, timestamp

    def put(self, line: str, interaction_id: str, now_ns: int) -> str | None:
        """Put a captured call, scrubbed piece by piece and finished as the JSON that the log will
        hold, into the ring; through the host's own callable, if there is one (for capture
        modules)."""
        if not self._hooked:
            return self._append(line.encode(), interaction_id, now_ns)
        fields: JsonObject = msgspec.json.decode(line)
        head = {name: fields.pop(name) for name in HEAD}
        try:
            made = self._arranged("api_call", fields)
        except ScrubFailed as error:
            self.blame(Reason.scrub_failed, error)
            return None
        for name, value in head.items():
            setattr(made, name, value)
        if self._service:
            made.service = self._service
        return self._append(self._encode(made), interaction_id, now_ns)

    def _append(self, payload: bytes, interaction_id: str, now_ns: int) -> str | None:
        attachment = self._attachment or self.attach()
        if attachment is None:
            self._miss()
            return None
        if not attachment.looked_ns <= now_ns <= attachment.next_look_ns:
            attachment.ensure_keeper()
        ring = attachment.ring
        outcome = ring.append(payload)
        if outcome == PUT:
            return interaction_id
        ring.count(REFUSALS[outcome])
        reason = REFUSALS[outcome].name
        self._complain(reason, f"a record was dropped: {reason}")
        return None

    def count(self, reason: Reason, n: int = 1) -> None:
        """Count something that was offered and is not kept, for a reason of the closed list."""
        attachment = self._attachment or self.attach()
        if attachment is None:
            self._miss(n)
        else:
            attachment.ring.count(reason, n)

    def quarantine(self, reason: str, *, note: str, raw: bytes) -> None:
        """Set aside input that could not be decoded: only its length and hash are kept."""
        if not self._collects:
            self._disabled += 1
            return
        digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
        self._set_aside({"reason": reason, "note": note, "bytes": len(raw), "hash": digest})

    def return_line(self, follower: str, reason: str, line: bytes) -> bool:
        """Put a line of the log that a follower can never deliver into the quarantine; whether it
        is in the ring. The record stands in the log as well, scrubbed since it was recorded."""
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            digest = hashlib.blake2b(line, digest_size=16).hexdigest()
            entry: JsonObject = {"bytes": len(line), "hash": digest}
        else:
            kind = record.get("interaction_type") if isinstance(record, dict) else None
            entry = {"interaction_type": str(kind)[:256], "record": record}
        return self._set_aside({"reason": reason, "follower": follower} | entry)

    def _quarantine(self, interaction_type: str, reason: str, fields: JsonObject) -> None:
        try:
            shares = self.shares(self.now_ns())
            fields, strict = self.contents.refused(interaction_type, fields, shares)
            scrubber = strict or self.scrubber
            record = scrubber.value(self.scrubber.hooked(self._shown(fields, scrubber)))
            text = self.scrubber.text(str(interaction_type))[:256]
        except Exception as error:
            self.blame(Reason.scrub_failed, error)
            return
        self._set_aside({"reason": reason, "interaction_type": text, "record": record})
        self._complain("quarantine", f"quarantined: {reason}")

    def _set_aside(self, entry: JsonObject) -> bool:
        attachment = self._attachment or self.attach()
        if attachment is None:
            self._miss()
            return False
        now_ns = self.clock.now()
        head = {
            "quarantine_id": str(uuid7(nanoseconds=now_ns)),
            "quarantined_at": self.clock.stamp(now_ns),
            "environment": self.settings.environment,
        }
        payload = self._encode(head | entry)
        outcome = attachment.ring.append(payload, QUARANTINED)
        if outcome == TOO_LARGE:
            entry["record"] = f"[too large: {len(payload)} bytes]"
            outcome = attachment.ring.append(self._encode(head | entry), QUARANTINED)
        if outcome != PUT:
            attachment.ring.count(REFUSALS[outcome])
        return outcome == PUT

    def salt(self, day: str) -> bytes:
        """The lake's secret of `day`, the same in every worker."""
        attachment = self._attachment or self.attach()
        if self.salts is None and attachment is not None:
            self.salts = attachment.salts
        if self.salts is None:
            return hashlib.blake2b(f"{os.getpid()}{id(self)}".encode()).digest()
        return self.salts(day)

    def lasting_salt(self) -> bytes:
        """The lake's secret for what must be the same tomorrow, such as a session's cookie."""
        attachment = self._attachment or self.attach()
        if attachment is not None and attachment.secret:
            return attachment.secret
        return self.salt("lasting")

    @property
    def attached(self) -> bool:
        """Whether there is a ring, so that hashes are made with the lake's secrets and may be
        remembered."""
        return self._attachment is not None

    def attach(self) -> Holder | None:
        """Open the ring: on first use, and again every 5 seconds while there is none."""
        if not self._collects:
            return None
        # The first opening is waited for; after a failure nobody waits, its disk may stand still.
        if self._closed or not self._opening.acquire(blocking=self._retry_ns == 0):
            return None
        try:
            if self._attachment is not None or self._attaching:
                return self._attachment
            self._attaching = True
            if time.monotonic_ns() >= self._retry_ns:
                self._attachment = self._open()
            return self._attachment
        finally:
            self._attaching = False
            self._opening.release()

    def _hold(self) -> Holder:
        """What records go into: this process's ring in the lake."""
        return Attachment(self.settings)

    def _open(self) -> Holder | None:
        try:
            attachment = self._hold()
        except (LakewardError, OSError) as error:
            self._retry_ns = time.monotonic_ns() + RETRY_NS
            self._complain("no_ring", f"nothing is collected: {error}")
            return None
        attachment.ensure_keeper()
        self._retry_ns = 0
        return attachment

    def _miss(self, n: int = 1) -> None:
        """Count what found no ring: in this object, as there is no memory that outlives it."""
        self._unplaced["closed" if self._closed else "no_ring"] += n

    def commit(self, timeout: float = 10.0) -> None:
        """Return when everything this process recorded is durable; NotDurable when it is not."""
        attachment = self._committable()
        if attachment is not None:
            attachment.commit(timeout)

    async def acommit(self, timeout: float = 10.0) -> None:
        """As `commit`, for coroutines."""
        attachment = self._committable()
        if attachment is not None:
            await attachment.acommit(timeout)

    def _committable(self) -> Holder | None:
        if not self._collects or self._closed:
            return None
        attachment = self._attachment or self.attach()
        if attachment is None:
            raise NotDurable("there is no ring: what was recorded was dropped and counted no_ring")
        return attachment

    def stats(self) -> dict[str, Any]:
        """This process's counts: offered, accepted, each reason, and how ring and keeper are."""
        unplaced = self._unplaced | {"disabled": self._disabled}
        counts: dict[str, Any] = {k: n for k, n in unplaced.items() if n}
        attachment = self._attachment
        if attachment is None:
            return {"offered": sum(counts.values()), "accepted": 0, "reasons": counts, "ring": None}
        offered, accepted, reasons = attachment.ring.tallies()
        counts |= {Reason(i).name: n for i, n in enumerate(reasons) if n}
        beat, errno = attachment.ring.beat
        return {
            "offered": offered + sum(unplaced.values()),
            "accepted": accepted,
            "reasons": counts,
            "ring": {
                "id": str(attachment.ring.ring_id),
                "path": str(attachment.ring.path),
                "bytes": attachment.ring.capacity(),
                "waiting_bytes": attachment.ring.waiting_bytes(),
            },
            "keeper": {
                "seen": bool(beat),
                "age_ms": (time.time_ns() - beat) // 1_000_000 if beat else None,
                "error": os.strerror(errno) if errno else "",
            },
        }

    def close(self) -> None:
        """Wait up to `LAKEWARD_EXIT_SECONDS` for the keeper, then stop recording. Idempotent."""
        self._closed = True
        self.detach()

    def detach(self) -> None:
        """Wait as `close` does and let go of the ring; what is recorded next makes another."""
        attachment, self._attachment = self._attachment, None
        if attachment is not None:
            attachment.close(self.settings.exit_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def blame(self, reason: Reason, error: Exception) -> None:
        """Count a failure of ours or of the host's callable; name its type, never its text."""
        try:
            self.count(reason)
            self._complain(reason.name, f"a record was dropped ({type(error).__name__})")
        except Exception:
            self._unplaced["no_ring"] += 1

    def _complain(self, key: str, sentence: str) -> None:
        """Log at most once a minute for each reason."""
        now = time.monotonic()
        if now >= self._complaints.get(key, 0.0):
            self._complaints[key] = now + 60.0
            logger.warning("lakeward: %s", sentence)

    def _after_fork(self) -> None:
        attachment, self._attachment = self._attachment, None
        if attachment is not None:
            attachment.abandon()
        self._opening = threading.RLock()
        self._attaching = False
        self._retry_ns = 0
        self._unplaced = dict.fromkeys(self._unplaced, 0)
        self._disabled = 0


def _text_of(moment: Any) -> str:
    return str(moment) if isinstance(moment, str) else str(moment.isoformat())


def join(fields: JsonObject, cause: Cause) -> None:
    """Give a record's fields what they share with the call or job that causes it."""
    if "trace_id" not in fields:
        fields["trace_id"] = cause.trace.trace_id
        fields.setdefault("parent_interaction_id", cause.interaction_id)
    person = cause.person()
    if "user_id" in fields:
        person.pop("user_id", None)
        person.pop("user_type", None)
    for name, value in person.items():
        fields.setdefault(name, value)


def plain(value: object) -> object:
    """What the encoder does not know: subclasses of text become text, nothing else is guessed."""
    if isinstance(value, str):
        return str.__str__(value)
    raise NotImplementedError(f"{type(value).__name__} is not JSON")


def _policy(settings: Settings) -> Policy:
    return Policy(
        keys=frozenset(settings.sensitive_keys),
        allow_keys=OWN_FIELDS.union(settings.allow_keys),
        paths=settings.sensitive_paths,
        emails=settings.detect_emails,
        phones=settings.detect_phones,
        ip=settings.ip,
    )


def _in_child(me: weakref.ref[Collector]) -> None:
    collector = me()
    if collector is not None:
        collector._after_fork()


def _at_exit(me: weakref.ref[Collector]) -> None:
    collector = me()
    if collector is not None:
        collector.close()
