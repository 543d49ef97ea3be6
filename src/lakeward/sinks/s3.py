"""The raw archive in S3: each slice of the log is one gzip object of JSON Lines, made exactly once.

In: slices. Out: `raw/year=…/month=…/day=…/<lake id>-<range>.jsonl.gz`, in the folder of the log's
own day, so that two attempts make one object and several hosts share a bucket. `Transient` when S3
is away; `Terminal` for credentials, a missing bucket, or another object under the name.
"""

from __future__ import annotations

from lakeward.errors import SettingError
from lakeward.followers.protocol import Slice
from lakeward.lakedir import LakeDir
from lakeward.person import Gone, Person
from lakeward.settings import Settings
from lakeward.sinks import aws, versions
from lakeward.sinks.objects import Bucket

PREFIXES = ("raw/", "items/")


def bucket_of(settings: Settings) -> Bucket:
    """The bucket that settings name."""
    if not settings.data_lake_bucket:
        raise SettingError("shipping to S3 needs a bucket: set DATA_LAKE_BUCKET")
    keys = aws.session(settings)
    return Bucket(aws.s3_store(settings, keys), aws.s3_api(settings, keys))


class S3Archive:
    """The archive as a follower, and as a store that can forget a person."""

    name = "s3"

    def __init__(self, bucket: Bucket, lake_id: str) -> None:
        self._bucket = bucket
        self._lake_id = lake_id

    @classmethod
    def from_settings(cls, settings: Settings, lake: LakeDir) -> S3Archive:
        """The archive that settings describe."""
        return cls(bucket_of(settings), lake.identity.lake_id)

    def key(self, piece: Slice) -> str:
        """The object's name, the same on every attempt."""
        year, month, day = piece.day.split("-")
        folder = f"raw/year={year}/month={month}/day={day}"
        return f"{folder}/{self._lake_id}-{piece.name}.jsonl.gz"

    def deliver(self, piece: Slice) -> None:
        """Make the slice's object; of no lines none is made."""
        if piece.lines:
            self._bucket.put_once(self.key(piece), piece.lines)

    def find(self, person: Person) -> int:
        """Lines that name the person, in every version of every object of the bucket's lakes."""
        return versions.find(self._bucket, PREFIXES, person)

    def erase(self, person: Person) -> Gone:
        """Take the person out of every object and delete all older versions of those."""
        return Gone(versions.forget(self._bucket, PREFIXES, person))

    def close(self) -> None:
        """Let go of connections."""
        self._bucket.api.close()
