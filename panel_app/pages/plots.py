"""The plots of the Explore page, by hvplot. Names are cut and cleaned first: Bokeh reads some text as TeX or reverses it."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Callable
from typing import Any

import hvplot.pandas
import hvplot.polars
import panel as pn
import polars as pl
from bokeh.models import ColorBar, NumeralTickFormatter

from figures.measures import ShownMeasure
from figures.views.charts import apart, palette
from figures.views.exploring import BARS, OTHERS, ExploreFigures
from panel_app.api.explore import HEIGHT, height

# Importing them registers `.hvplot` on the frames of both libraries.
_REGISTERED = (hvplot.pandas, hvplot.polars)
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_JOINERS = "\u200c\u200d"
_SCRIPTS = "\u0590"
"""From here on are the scripts, and the pictures, that are written with joiners."""
_COLORS = [
    "#5b54e8",
    "#0d9f98",
    "#e07f2c",
    "#c2408f",
    "#74839c",
    "#2f8be6",
    "#86a83b",
    "#9b5de5",
    "#b5651d",
    "#3aa76d",
    "#d64545",
    "#6b7280",
]
_ON_DARK = [
    "#827cf5",
    "#2bb8ae",
    "#ee9a4d",
    "#e06db2",
    "#9aa7bd",
    "#5aa9f5",
    "#a7c95c",
    "#b98af0",
    "#dd9258",
    "#5cc98e",
    "#f07171",
    "#b4bac6",
]
"""The same where the page is dark."""
_FONT = "Inter, Roboto, Segoe UI, system-ui, Arial, sans-serif"
_LONG, _SHORT, _SHORTEST = 24, 14, 8
"""Characters of a name on a wide and on a narrow screen, and of each of several names."""
_DIGITS = {"money": 2, "price": 2, "count": 1, "percent": 1, "multiple": 2}
"""Decimal places on an axis, by the unit of a measure; more are used if all figures are small."""
_DEEPEST = 12


def readable(name: str, limit: int = 40) -> str:
    """Return `name` for a legend or an axis: nothing invisible, no TeX, at most `limit` characters."""
    prefix = name[: limit * 4]
    shown = ["\ufffd" if _unseen(prefix, at) else character for at, character in enumerate(prefix)]
    plain = "".join(shown).replace("$", "\uff04")
    return (plain[: limit - 1] + "…" if len(plain) > limit or len(name) > limit * 4 else plain).strip() or "(blank name)"


def _unseen(text: str, at: int) -> bool:
    """Return whether the character at that index is invisible, or reverses visible ones."""
    character = text[at]
    if character in _JOINERS and all(map(_joined, (text[at - 1 : at], text[at + 1 : at + 2]))):
        return False
    return character in _FILLERS or unicodedata.category(character) in _UNSEEN


def _joined(character: str) -> bool:
    """Whether `character` is a character that may be next to a joiner."""
    return character > _SCRIPTS and unicodedata.category(character)[0] in "LMS"


def written(measure: ShownMeasure, currency: str, largest: float) -> tuple[str, NumeralTickFormatter]:
    """Return the title of a plot of `measure`, and the formatter of its axis; `largest` is the largest absolute figure.

    The title of money names the currency; only dollars also get their sign: Bokeh's formatter supports other signs only together with
    the separators of another language.
    """
    label = f"{measure.label} ({measure.short})" if measure.short else measure.label
    percent = measure.unit == "percent"
    shown = largest * 100 if percent else largest
    more = 2 - math.floor(math.log10(shown)) if 0 < shown < math.inf else 0
    form = "0,0[.]" + "0" * min(max(_DIGITS[measure.unit], more), _DEEPEST) + "%" * percent
    if measure.unit not in ("money", "price"):
        return label, NumeralTickFormatter(format=form)
    return f"{label}, {currency}", NumeralTickFormatter(format=("$" if currency == "USD" else "") + form)


def zone_of(name: str) -> str:
    """Return `name` if polars knows this time zone, else ``UTC``."""
    try:
        pl.Series([dt.datetime(2000, 1, 1, tzinfo=dt.UTC)]).dt.convert_time_zone(name)
    except (pl.exceptions.PolarsError, ValueError):
        return "UTC"
    return name


def draw(figures: ExploreFigures, *, currency: str, dark: bool, narrow: bool = False, zone: str = "UTC") -> pn.viewable.Viewable:
    """Return a plot for each measure, one below the other; a line of text if there is nothing to draw.

    `narrow` is for a phone; the axes show times in `zone`, as returned by `zone_of`.
    """
    if figures.frame.is_empty():
        return pn.pane.Str("No results are held for this range.", sizing_mode="stretch_width")
    if figures.ask.kind == "table":
        return pn.Spacer(height=1)
    frame = _labelled(figures, _SHORT if narrow else _LONG)
    if "time" in frame.columns:
        # An incomplete minute would look like a drop in the plot; the table contains it.
        complete = frame.filter(~pl.col("time").is_in(figures.incomplete))
        frame = frame if complete.is_empty() else complete
        # Bokeh's axes have no time zones: they show the time as given.
        frame = frame.with_columns(
            pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None, ambiguous="earliest")
        )
    shown = [_plot(frame, figures, measure, currency=currency, dark=dark, narrow=narrow) for measure in figures.measures]
    tall = height(figures, narrow=narrow)
    panes = [pn.pane.HoloViews(plot, sizing_mode="stretch_width", height=tall) for plot in shown]
    return pn.Column(*panes, sizing_mode="stretch_width")


def _labelled(figures: ExploreFigures, limit: int) -> pl.DataFrame:
    """The frame with one column `name` in place of the dimensions, every name of it readable and still distinct."""
    if not figures.dimensions:
        return figures.frame.with_columns(pl.lit("everything").alias("name"))
    pairs = figures.frame.select(figures.dimensions).rows()
    taken: dict[tuple[str, ...], str] = {}
    used = {"time"}
    for pair in pairs:
        if pair not in taken:
            parts = dict.fromkeys(pair) if OTHERS in pair else pair
            text = " · ".join(readable(part, max(limit // len(parts), _SHORTEST)) for part in parts)
            while text in used:
                text += "\u2032"
            used.add(text)
            taken[pair] = text
    return figures.frame.with_columns(pl.Series("name", [taken[pair] for pair in pairs]))


def _palette(frame: pl.DataFrame, colors: list[str], names: list[str] | None = None) -> list[str]:
    """One of `colors` for each name, a channel's own where it has one; without `names` for those of `frame` in hvplot's order."""
    wanted = frame["name"].unique(maintain_order=True).to_list() if names is None else names
    indices = apart(palette(wanted), len(colors))
    return [colors[indices[name]] for name in wanted]


def _plot(frame: pl.DataFrame, figures: ExploreFigures, measure: ShownMeasure, *, currency: str, dark: bool, narrow: bool) -> Any:
    largest: float = frame.select(pl.col(measure.id).abs().max()).item() or 0.0
    label, formatter = written(measure, currency, largest)
    # The measure is in the title.
    common: dict[str, Any] = {
        "ylabel": "",
        "xlabel": "",
        "height": height(figures, narrow=narrow),
        "responsive": True,
        "grid": True,
        "yformatter": formatter,
    }
    kind, colors = figures.ask.kind, _ON_DARK if dark else _COLORS
    if kind == "bar":
        # The figures of horizontal bars are on the axis below them.
        common["xformatter"] = common.pop("yformatter")
        plot = frame.head(BARS).hvplot.barh(  # pyright: ignore[reportAttributeAccessIssue]  # registered, see above
            x="name", y=measure.id, color=colors[0], flip_yaxis=True, **common
        )
    elif kind == "heatmap" and figures.dimensions:
        # hvplot's heatmap and stacked area fail on polars frames; these few rows cost nothing as pandas. A single time has no width
        # on a time axis, so it is a category there.
        is_single = frame["time"].n_unique() == 1
        columns = frame.with_columns(pl.col("time").dt.strftime("%Y-%m-%d %H:%M")) if is_single else frame
        plot = columns.to_pandas().hvplot.heatmap(
            x="time",
            y="name",
            C=measure.id,
            cmap="Blues_r" if dark else "Blues",
            height=HEIGHT,
            responsive=True,
            xlabel="",
            ylabel="",
        )
    elif kind == "area" and measure.additive:
        lasting = _lasting(frame, figures.grain, each=False)
        wide = lasting.pivot(on="name", index="time", values=measure.id).fill_null(0).to_pandas()
        columns = [name for name in wide.columns if name != "time"]
        plot = wide.hvplot.area(
            x="time",
            y=columns,
            stacked=True,
            color=_palette(frame, colors, columns),
            alpha=0.8,
            line_width=0,
            legend="bottom",
            **common,
        )
    else:
        # A rate with unknown points still gets a line, which bridges the gaps.
        known = frame.drop_nulls(measure.id)
        lines = _lasting(frame if known.is_empty() else known, figures.grain).hvplot.line  # pyright: ignore[reportAttributeAccessIssue]  # registered, see above
        plot = lines(x="time", y=measure.id, by="name", color=_palette(frame, colors), line_width=2, legend="bottom", **common)
    hooks = [_dark if dark else _light, _two_columns if narrow else _three_columns, _bars_written(formatter)]
    return plot.opts(title=label, toolbar="above", hooks=hooks)


def _lasting(frame: pl.DataFrame, grain: int, *, each: bool = True) -> pl.DataFrame:
    """Add a second point, `grain` seconds later, for each name that has only one: a line needs two points.

    With `each` off, do so only if all names have the same single time.
    """
    alone = frame.filter(pl.len().over("name") == 1) if each else frame if frame["time"].n_unique() == 1 else frame.clear()
    return pl.concat([frame, alone.with_columns(pl.col("time") + pl.duration(seconds=grain))])


def _bars_written(formatter: NumeralTickFormatter) -> Callable[[Any, Any], None]:
    """Return the formatter of a heatmap's colour bar."""

    def write(plot: Any, _element: Any) -> None:
        for bar in plot.state.select(ColorBar):
            bar.formatter = formatter

    return write


def _light(plot: Any, _element: Any) -> None:
    _paint(plot.state, background="#ffffff", ink="#17181c", line="#e2e4ea")


def _dark(plot: Any, _element: Any) -> None:
    _paint(plot.state, background="#181b22", ink="#f0f2f6", line="#2c313c")


def _two_columns(plot: Any, _element: Any) -> None:
    for legend in plot.state.legend:
        legend.ncols = 2


def _three_columns(plot: Any, _element: Any) -> None:
    for legend in plot.state.legend:
        legend.ncols = 3


def _paint(figure: Any, *, background: str, ink: str, line: str) -> None:
    figure.background_fill_color = figure.border_fill_color = background
    figure.outline_line_color = line
    figure.toolbar.logo = None
    figure.toolbar.styles = {"--divider-color": line}
    figure.title.text_color = ink
    figure.title.text_font = _FONT
    for axis in figure.axis:
        axis.axis_label_text_color = axis.major_label_text_color = ink
        axis.axis_label_text_font = axis.major_label_text_font = _FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_line_color = axis.major_tick_line_color = line
        axis.minor_tick_line_color = None
    for axis in figure.xaxis:
        if hasattr(axis.ticker, "desired_num_ticks"):
            axis.ticker.desired_num_ticks = 5  # more would overlap on a phone
    for grid in figure.grid:
        grid.grid_line_color = line
    for bar in figure.select(ColorBar):
        bar.title = None
        bar.background_fill_color = background
        bar.major_label_text_color = ink
        bar.major_label_text_font = _FONT
    for legend in figure.legend:
        legend.title = None
        legend.location = "top_left"  # the remaining space separates it from the next plot
        legend.background_fill_color = background
        legend.label_text_color = ink
        legend.label_text_font = _FONT
        legend.label_text_font_size = "12px"
        legend.border_line_color = None
