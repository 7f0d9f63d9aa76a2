"""Measures declared in TOML: sums over sums with integer weights. The built-in ones and an operator's own have the same form.

::

    [[metric]]
    name = "cost_per_cart"
    label = "Cost per cart"
    numerator = "spend"
    denominator = "2 * add_to_cart + lead"
    unit = "price"
    good = "down"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from dataflows.contract.constants import MICROS
from dataflows.contract.errors import SettingsError

Unit = Literal["money", "price", "count", "percent", "multiple"]
"""Money is a total in the currency, price an average of it; both are summed in micros and shown in currency units."""

Good = Literal["up", "down", "neither"]
"""The direction in which a change is good."""

Terms = tuple[tuple[str, int], ...]
"""Names of sums, each with an integer weight."""

MOST_WEIGHT = 1_000_000_000
"""Largest weight of a sum in a formula."""

MOST_METRICS = 64
"""Largest number of metrics in a file."""

_TERM = re.compile(r"(?:([0-9]{1,12})\s*\*\s*)?([A-Za-z0-9][A-Za-z0-9_.-]*)")
_SIGN = re.compile(r"\s*(\+)\s*|\s+(-)\s+")


class Measure(msgspec.Struct, frozen=True):
    """`numerator` over `denominator`, or `numerator` alone where that is empty; `label` and `short` name it on pages.

    `tile`: whether it is one of the headline figures of the overview.
    """

    id: str
    label: str
    short: str
    unit: Unit
    good: Good
    numerator: Terms
    denominator: Terms = ()
    tile: bool = False

    @property
    def additive(self) -> bool:
        """Whether the figures of parts add up to that of the whole, so that they can be stacked."""
        return not self.denominator

    @property
    def micros(self) -> int:
        """Factor of the denominator (1 where it is empty) that turns micros into currency units."""
        return MICROS if self.unit in ("money", "price") else 1


Text = Annotated[str, Meta(min_length=1, max_length=80)]
Formula = Annotated[str, Meta(min_length=1, max_length=1000)]


class _Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    numerator: Formula
    unit: Unit
    good: Good
    denominator: Formula | None = None
    label: Text | None = None
    short: Annotated[str, Meta(max_length=80)] = ""
    tile: bool = False


def load(path: str, sums: Iterable[str], others: Iterable[Measure], *, reserved: Iterable[str] = ()) -> tuple[Measure, ...]:
    """Return the measures that the file at `path` declares.

    `sums`: the names of the sums that a formula can use, those of money ending in ``_micros``; a total of `others` can be used by its id
    too. Raises `SettingsError`, which names the file, the metric and the formula, for a file that can't be read, a formula that has no
    meaning, and a name that one of the `others` or of `reserved` has.
    """
    try:
        text = Path(path).read_text("utf-8-sig")  # Windows editors begin a file with a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(
            f"{path} can't be read: {reason}; it is to hold metrics of your own (ADTALLY_METRICS_FILE)."
        ) from None
    return read(text, path, sums, others, reserved=reserved)


def read(
    text: str, source: str, sums: Iterable[str], others: Iterable[Measure] = (), *, reserved: Iterable[str] = ()
) -> tuple[Measure, ...]:
    """Return the measures that `text` declares, as `load` does; `source` names it in errors."""
    names = {name: ((name, 1),) for name in sums}
    others = tuple(others)
    names |= {other.id: other.numerator for other in others if other.additive}
    taken = {*(other.id for other in others), *reserved}
    measures: list[Measure] = []
    for number, entry in enumerate(_entries(text, source), start=1):
        declaration = _declaration(entry, number, source)
        where = f"{source}: metric {declaration.name}"
        if declaration.name in taken:
            raise SettingsError(f"{where}: another measure, a sum or a column of the API has this name; choose another one.")
        measures.append(measure := _measure(declaration, names, where))
        taken.add(measure.id)
        if measure.additive:
            names[measure.id] = measure.numerator
    return tuple(measures)


def _entries(text: str, source: str) -> list[object]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} is not TOML: {error}.") from None
    entries = tables.pop("metric", [])
    if tables or not isinstance(entries, list):
        wrong = f"has {next(iter(tables))!r}" if tables else "has one [metric]"
        raise SettingsError(f"{source} {wrong}; each metric begins with [[metric]], and nothing else is allowed outside of them.")
    if len(entries) > MOST_METRICS:  # pyright: ignore[reportUnknownArgumentType]  # the items are validated one by one
        raise SettingsError(f"{source} declares {len(entries)} metrics; at most {MOST_METRICS} are allowed.")  # pyright: ignore[reportUnknownArgumentType]  # as above
    return entries  # pyright: ignore[reportUnknownVariableType]  # as above


def _declaration(entry: object, number: int, source: str) -> _Declaration:
    try:
        return msgspec.convert(entry, _Declaration)
    except msgspec.ValidationError as error:
        name = entry.get("name") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # of any type
        which = f"metric {name}" if isinstance(name, str) else f"metric number {number}"
        reason, _, key = str(error).replace("`", "").partition(" - at $.")
        allowed = {"unit": f"; use one of {', '.join(get_args(Unit))}", "good": f"; use one of {', '.join(get_args(Good))}"}
        place = f"{key}: " if key else ""
        raise SettingsError(f"{source}: {which}: {place}{reason[0].lower()}{reason[1:]}{allowed.get(key, '')}.") from None


def _measure(declaration: _Declaration, names: Mapping[str, Terms], where: str) -> Measure:
    numerator = _terms(declaration.numerator, names, f"{where}: numerator")
    denominator = _terms(declaration.denominator, names, f"{where}: denominator") if declaration.denominator else ()
    _check_unit(declaration.unit, numerator, denominator, where)
    label = declaration.label or declaration.name.replace("_", " ").capitalize()
    return Measure(
        declaration.name, label, declaration.short, declaration.unit, declaration.good, numerator, denominator, declaration.tile
    )


def _terms(formula: str, names: Mapping[str, Terms], where: str) -> Terms:
    """Return the sums of `formula` with their weights; those that are given twice are added up."""
    where = f"{where} {formula!r}"
    signed = formula.strip()
    signed = f"- {signed[1:].lstrip()}" if signed.startswith("-") else f"+ {signed}"
    _, *parts = _SIGN.split(f" {signed}")
    weights: dict[str, int] = {}
    for plus, _, part in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        term = _TERM.fullmatch(part)
        if term is None:
            raise SettingsError(
                f"{where}: {part!r} is not a term; write measures with whole weights, such as 'clicks + 2 * conversions', "
                "with a space on both sides of each minus."
            )
        weight = int(term[1] or 1)
        if term[2] not in names:
            close = difflib.get_close_matches(term[2], names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}."
            raise SettingsError(f"{where}: no sum is named {term[2]!r}; {hint}")
        for name, inner in names[term[2]]:
            weights[name] = weights.get(name, 0) + (weight if plus else -weight) * inner
    if any(abs(weight) > MOST_WEIGHT for weight in weights.values()):
        raise SettingsError(f"{where}: a weight is beyond {MOST_WEIGHT:,}.")
    terms = tuple((name, weight) for name, weight in weights.items() if weight)
    if not terms:
        raise SettingsError(f"{where}: its terms cancel each other, so that it is always 0.")
    return terms


def _check_unit(unit: Unit, numerator: Terms, denominator: Terms, where: str) -> None:
    """Raise `SettingsError` where money is added to counts, or `unit` does not follow from the formula."""
    above, below = _kind(numerator, f"{where}: numerator"), _kind(denominator, f"{where}: denominator")
    fitting: dict[tuple[str, str], tuple[Unit, ...]] = {
        ("money", ""): ("money",),
        ("count", ""): ("count",),
        ("money", "count"): ("price",),
        ("count", "count"): ("percent", "multiple", "count"),
        ("money", "money"): ("percent", "multiple"),
    }
    units = fitting.get((above, below))
    if units is None:
        raise SettingsError(
            f"{where}: counts over money have no unit that is shown; turn the formula round, as money over counts."
        )
    if unit not in units:
        over = f" over {'money' if below == 'money' else 'counts'}" if below else ""
        what = ("money" if above == "money" else "counts") + over
        raise SettingsError(f"{where}: unit {unit!r} does not fit {what}; use {' or '.join(units)}.")


def _kind(terms: Terms, where: str) -> str:
    kinds = {"money" if name.endswith("_micros") else "count" for name, _ in terms}
    if len(kinds) > 1:
        raise SettingsError(f"{where} adds money and counts; add one kind only.")
    return next(iter(kinds), "")
