"""What the pickers for campaigns and channels offer: sent when one is opened, not with each refresh."""

from __future__ import annotations

import msgspec
import polars as pl

from figures.measures import SIZE, sums
from figures.service import Service
from figures.store.spelling import SpellingMark, matches

_OFFERED = 100


class Offer(msgspec.Struct, frozen=True):
    """Names by falling spend, and how many there are in all."""

    id: int
    names: list[str]
    total: int
    marks: dict[str, SpellingMark]
    """How names that look like another one differ from it, by name."""


def reply(service: Service, number: int, dimension: str, search: str) -> str:
    """Return JSON of the `Offer` for `dimension` (campaign or channel): the names that a search for `search` finds."""
    if dimension not in ("campaign", "channel"):
        dimension = "campaign"
    snapshot = service.snapshot()
    known, currencies = snapshot.names[dimension], snapshot.names["currency"]
    rows = snapshot.between(snapshot.oldest, snapshot.newest + 1, 86_400, by=(dimension, "currency"))
    # Spend in other currencies is not comparable; the names that only have such come last.
    is_reported = pl.col("currency").is_in(currencies.known([service.settings.currency]))
    (spend,) = sums([SIZE], wide=snapshot.wide)
    ranked = (
        rows.with_columns(pl.when(is_reported).then(pl.col(SIZE)))
        .group_by(dimension)
        .agg(spend, is_reported.any().alias("reported"))
        .sort("reported", SIZE, dimension, descending=[True, True, False])
    )
    names = known.column(ranked[dimension])
    wanted = [name for name in names if matches(name, search)] if search else names
    offered = wanted[:_OFFERED]
    return msgspec.json.encode(Offer(number, offered, len(wanted), known.marks(offered))).decode()
