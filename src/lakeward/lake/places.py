"""Where addresses are: country and city, by a MaxMind file that the user brings.

In: client addresses in whatever form the address policy left them, and the path of an `.mmdb` file.
Out: an Arrow struct of each; nulls for a hash, a private address, or what the file does not know.
Nothing fails: a file that is missing or broken gives one warning and nulls.

Countries are ISO codes, cities have their English names, as in GeoLite2 and DB-IP's files.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.errors import MissingExtra
from lakeward.lake import column

if TYPE_CHECKING:
    import pyarrow as pa
    from maxminddb import Reader

logger = logging.getLogger("lakeward.places")

REMEMBERED: Final = 200_000


class Place(msgspec.Struct, frozen=True):
    """Where one address is."""

    country: str | None = None
    city: str | None = None


NOWHERE: Final = Place()


class Places:
    """Looks addresses up and remembers them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str | None, Place] = {}
        self._reader = self._opened()

    def _opened(self) -> Reader | None:
        try:
            import maxminddb
        except ImportError:
            raise MissingExtra("LAKEWARD_GEOIP", "lake") from None
        try:
            return maxminddb.open_database(self._file)
        except Exception as error:
            self._warn(error)
            return None

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "no country or city: LAKEWARD_GEOIP names %s, which cannot be read as a MaxMind file "
            "(%s); bring another one",
            self._file,
            type(error).__name__,
        )

    def _look(self, address: str | None) -> Place:
        if self._reader is None or not address:
            return NOWHERE
        try:
            # Not every file knows IPv4 addresses in the dress of IPv6.
            return _place(self._reader.get(address.removeprefix("::ffff:")))
        except ValueError:
            return NOWHERE  # a hash, or an IPv6 address in a file of IPv4
        except Exception as error:  # of the file's content
            self._warn(error)
            self._reader = None
            return NOWHERE

    def known(self, addresses: Sequence[str | None]) -> list[Place]:
        """Where each of some different addresses is."""
        if len(self._known) + len(addresses) > REMEMBERED:
            self._known = {}
        known = self._known
        places = []
        for address in addresses:
            place = known.get(address)
            if place is None:
                place = known[address] = self._look(address)
            places.append(place)
        return places

    def struct(self, values: pa.ChunkedArray) -> pa.StructArray:
        """Where each address of a column is, as a struct column of the same length."""
        import pyarrow as pa

        coded = values.combine_chunks().dictionary_encode("encode")
        places = self.known(coded.dictionary.to_pylist())
        distinct = pa.StructArray.from_arrays(
            [
                column.texts([place.country for place in places]),
                column.texts([place.city for place in places]),
            ],
            names=list(Place.__struct_fields__),
        )
        return distinct.take(coded.indices)


def _place(found: object) -> Place:
    """Country and city of what a file says about an address, in whatever form it says it."""
    country = _inside(found, "country", "iso_code") or _inside(
        found, "registered_country", "iso_code"
    )
    return Place(country, _inside(found, "city", "names", "en"))


def _inside(found: object, *names: str) -> str | None:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
