"""The measures of one deployment: the built-in ones, its declared event types, and its own metrics (docs/measures.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from dataflows.contract import measure_file
from dataflows.contract.event_types import DeclaredType
from dataflows.contract.measure_file import Measure
from dataflows.contract.measures import RATIOS, TOTALS
from dataflows.contract.metrics import MONEY
from dataflows.contract.schema import WindowResult
from dataflows.contract.settings import Settings
from figures.measures import ShownMeasure
from figures.store.shape import shape_of

DEFAULT_FILE = "metrics.toml"
"""The file of own metrics that is read where ``ADTALLY_METRICS_FILE`` names none, if it exists."""

_COLUMNS = ("spend", "clicks", "conversions", "cpc", "cpa", "ctr", "roas")
_TILES = ("spend", "clicks", "conversions", "cpa", "ctr", "roas")
_API_COLUMNS = {
    *WindowResult.__struct_fields__,
    *(name.removesuffix("_micros") for name in MONEY),
    *("other", "currency_from", "campaign", "channel", "name", "time", "total"),
}


class Catalogue(msgspec.Struct, frozen=True):
    """Every measure by its id, those of the tables first; `own` are the ids of the deployment's own metrics."""

    measures: dict[str, ShownMeasure]
    own: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Catalogue:
        """Return the measures of a deployment; raises `SettingsError` where its file of metrics can't be used."""
        built_in = (*TOTALS, *RATIOS, *map(_counted, settings.declared_types))
        return cls._with_own(built_in, _own(settings, built_in), [declared.name for declared in settings.declared_types])

    @classmethod
    def built_in(cls) -> Catalogue:
        """Return the measures of a deployment that declares nothing."""
        return cls._with_own((*TOTALS, *RATIOS))

    @classmethod
    def _with_own(cls, built_in: Sequence[Measure], own: Sequence[Measure] = (), types: Sequence[str] = ()) -> Catalogue:
        columns = shape_of(types).sums
        by_id = {measure.id: ShownMeasure(**asdict(measure), columns=columns) for measure in (*built_in, *own)}
        return cls({name: by_id[name] for name in _COLUMNS} | by_id, tuple(measure.id for measure in own))

    def tiles(self, chosen: str) -> tuple[ShownMeasure, ...]:
        """Return the headline figures: the usual ones, own metrics that are tiles, and the `chosen` measure of the page."""
        return self._unique((*_TILES, *self._own_tiles, chosen))

    def columns(self, *chosen: str) -> tuple[ShownMeasure, ...]:
        """Return the columns of the tables: the usual ones, own metrics that are tiles, and the `chosen` measures of the page."""
        return self._unique((*_COLUMNS, *self._own_tiles, *chosen))

    @property
    def own_measures(self) -> tuple[ShownMeasure, ...]:
        """The deployment's own metrics."""
        return tuple(self.measures[name] for name in self.own)

    @property
    def rates(self) -> tuple[ShownMeasure, ...]:
        """The columns of the API and of exports that are no sums: the rates of a result, then all own metrics."""
        return tuple(self.measures[name] for name in (*(ratio.id for ratio in RATIOS), *self.own))

    @property
    def _own_tiles(self) -> list[str]:
        return [name for name in self.own if self.measures[name].tile]

    def _unique(self, names: Iterable[str]) -> tuple[ShownMeasure, ...]:
        return tuple(self.measures[name] for name in dict.fromkeys(names) if name in self.measures)


def _counted(declared: DeclaredType) -> Measure:
    """Return the total of the events of a declared type."""
    label = declared.name.replace("_", " ")
    return Measure(
        declared.name,
        label[0].upper() + label[1:],
        "",
        "count",
        "down" if declared.role == "refund" else "up",
        ((f"counts.{declared.name}", 1),),
    )


def _own(settings: Settings, built_in: Iterable[Measure]) -> tuple[Measure, ...]:
    path = settings.metrics_file or (DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else "")
    if not path:
        return ()
    sums = shape_of([declared.name for declared in settings.declared_types]).sums
    return measure_file.load(path, sums, built_in, reserved={*_API_COLUMNS, *sums})


BUILT_IN = Catalogue.built_in()
"""The measures of a deployment that declares nothing."""
