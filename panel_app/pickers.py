"""What the pickers for campaigns and channels offer: sent when one is opened, not with each refresh."""

from __future__ import annotations

import msgspec
import polars as pl

from panel_app.measures import SIZE, sums
from panel_app.service import Service

_OFFERED = 100


class Offer(msgspec.Struct, frozen=True):
    """Names by falling spend, and how many there are in all."""

    id: int
    names: list[str]
    total: int


def reply(service: Service, number: int, dimension: str, search: str) -> str:
    """JSON of the `Offer` for `dimension` (campaign or channel): names that contain `search`, case aside."""
    if dimension not in ("campaign", "channel"):
        dimension = "campaign"
    snapshot = service.snapshot()
    known = snapshot.campaigns if dimension == "campaign" else snapshot.channels
    rows = snapshot.between(snapshot.oldest, snapshot.newest + 1, 86_400, by=dimension)
    ranked = rows.group_by(dimension).agg(sums(wide=snapshot.wide)).sort(pl.col(SIZE), dimension, descending=[True, False])
    names = known.column(ranked[dimension])
    wanted = [name for name in names if search.lower() in name.lower()] if search else names
    return msgspec.json.encode(Offer(number, wanted[:_OFFERED], len(wanted))).decode()
