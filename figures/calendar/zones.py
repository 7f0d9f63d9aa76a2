"""Time zones by their IANA name, and the stretches of time in which a zone's offset from UTC is constant.

`zoneinfo` has no list of a zone's transitions, so they are found by bisection between probes. The probes are closer together than any
two transitions of the tz database (the closest are four days apart: Freetown, September 1939).
"""

from __future__ import annotations

import datetime as dt
import difflib
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import numpy.typing as npt

from dataflows.contract.errors import InputError

Seconds = npt.NDArray[np.int64]
"""Seconds: since 1970 (UTC), or of an offset."""

UTC = "UTC"
_PROBE = 2 * 86_400
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST, _LAST = -62_135_596_800 + _PROBE, 253_402_300_799 - _PROBE
"""Earliest and latest moment whose local time a datetime can hold in every zone; the offsets there also apply beyond them."""
_EARLIEST_CHANGE = 1800
"""Year before the first change in the tz database."""
_PERIODIC = 2100
"""Year from which on every zone follows a yearly rule; such a rule repeats with the Gregorian calendar."""
_400_YEARS = 146_097 * 86_400


@cache
def _known_zones() -> dict[str, str]:
    """Return the names of all zones by their spelling in small letters."""
    return {name.lower(): name for name in sorted(available_timezones() - {"localtime"})}


def zone_name(text: str) -> str:
    """Return the IANA name of a zone that is spelt `text` in any case.

    Raises `InputError`, whose text does not repeat `text`, if there is no such zone.
    """
    known = _known_zones()
    name = known.get(text.strip().lower().replace(" ", "+"))  # in a URL, the plus of Etc/GMT+5 means a space
    if name is None:
        meant = difflib.get_close_matches(text.strip().lower()[:64], known, n=1)
        more = f"; was {known[meant[0]]} meant?" if meant else ", such as Europe/Berlin or America/New_York."
        raise InputError(f"`tz` must be the IANA name of a time zone{more}")
    return name


def offset_at(zone: str, moment: int) -> int:
    """Return the offset from UTC in `zone` at `moment` (seconds since 1970), in seconds, positive to the east."""
    inside = min(max(moment, _FIRST), _LAST)
    offset = (_EPOCH + dt.timedelta(seconds=inside)).astimezone(_info(zone)).utcoffset()
    return 0 if offset is None else offset // dt.timedelta(seconds=1)


@cache
def _info(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)


@lru_cache(maxsize=50_000)
def _changes(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Return the moments of the `year` (UTC) at which the offset of `zone` changes, each with the offset from then on."""
    if year < _EARLIEST_CHANGE:
        return ()
    if year >= _PERIODIC + 400:
        back = (year - _PERIODIC) // 400
        return tuple((at + back * _400_YEARS, offset) for at, offset in _changes(zone, year - 400 * back))
    start, end = (int(np.datetime64(since, "Y").astype("datetime64[s]").astype(np.int64)) for since in (year - 1970, year - 1969))
    changes: list[tuple[int, int]] = []
    before = offset_at(zone, start - 1)
    last = start - 1
    for probe in (*range(start + _PROBE, end - 1, _PROBE), end - 1):
        after = offset_at(zone, probe)
        if after != before:
            same, changed = last, probe
            while changed - same > 1:
                middle = (same + changed) // 2
                same, changed = (middle, changed) if offset_at(zone, middle) == before else (same, middle)
            changes.append((changed, after))
        last, before = probe, after
    return tuple(changes)


def stretches(zone: str, start: int, end: int) -> tuple[Seconds, Seconds]:
    """Return the stretches of constant offset that cover `start` to `end`: the first instant of each, and its offset.

    The first one begins at `start` itself.
    """
    years = np.array([start, max(end, start)], "datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    first, last = (int(year) for year in years.clip(1, 9999))
    changes = [(start, offset_at(zone, start))]
    for year in range(first, last + 1):
        changes += [change for change in _changes(zone, year) if start < change[0] < end]
    begins, offsets = np.array(changes, np.int64).T
    return begins, offsets
