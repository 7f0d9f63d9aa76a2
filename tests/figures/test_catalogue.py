"""The measures of a deployment: built-in ones, declared event types, and own metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from figures.catalogue import Catalogue
from figures.store.store import Store
from figures.views import exploring
from figures.views.query import page
from figures.views.result_table import table
from figures.views.selection import Selection
from figures.views.view import asked
from tests.support.results import result

OWN = """
[[metric]]
name = "cost_per_cart"
numerator = "spend"
denominator = "add_to_cart"
unit = "price"
good = "down"
tile = true

[[metric]]
name = "actions"
numerator = "clicks + 5 * lead"
unit = "count"
good = "up"
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(OWN)
    return Settings(event_types="add_to_cart,lead:conversion,chargeback:refund", metrics_file=str(tmp_path / "own.toml"))


def test_a_declared_type_is_a_total_of_its_own_name(settings: Settings) -> None:
    measures = Catalogue.of(settings).measures
    assert measures["add_to_cart"].label == "Add to cart"
    assert measures["lead"].numerator == (("counts.lead", 1),)
    assert (measures["lead"].good, measures["chargeback"].good) == ("up", "down")


def test_own_metrics_use_declared_types_and_come_after_the_built_in_measures(settings: Settings) -> None:
    catalogue = Catalogue.of(settings)
    assert catalogue.own == ("cost_per_cart", "actions")
    assert catalogue.measures["actions"].numerator == (("clicks", 1), ("counts.lead", 5))
    assert [measure.id for measure in catalogue.rates][-2:] == ["cost_per_cart", "actions"]


def test_tiles_and_columns_contain_own_tiles_and_the_chosen_measure(settings: Settings) -> None:
    catalogue = Catalogue.of(settings)
    assert [measure.id for measure in catalogue.tiles("spend")][-1] == "cost_per_cart"
    assert [measure.id for measure in catalogue.tiles("actions")][-2:] == ["cost_per_cart", "actions"]
    assert [measure.id for measure in catalogue.columns("cost_per_cart")].count("cost_per_cart") == 1


def test_the_file_in_the_current_folder_is_read_if_the_setting_is_absent(tmp_path: Path, settings: Settings) -> None:
    del settings
    assert Catalogue.of(Settings()).own == ()
    (tmp_path / "metrics.toml").write_text(OWN)
    with pytest.raises(SettingsError, match=r"metrics.toml: metric cost_per_cart: denominator 'add_to_cart': no sum is named"):
        Catalogue.of(Settings())
    assert Catalogue.of(Settings(event_types="add_to_cart,lead")).own == ("cost_per_cart", "actions")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"own.toml can't be read: No such file.*ADTALLY_METRICS_FILE"):
        Catalogue.of(Settings(metrics_file=str(tmp_path / "own.toml")))


@pytest.mark.parametrize("name", ["refund", "refund_micros", "other", "events", "counts"])
def test_a_metric_can_not_have_the_name_of_a_column_of_the_api(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'[[metric]]\nname = "{name}"\nnumerator = "clicks"\nunit = "count"\ngood = "up"\n')
    with pytest.raises(SettingsError, match=f"own.toml: metric {name}: another measure, a sum or a column of the API"):
        Catalogue.of(Settings(metrics_file=str(path)))


def test_a_file_of_metrics_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[[metric]]\nname = "touches"\nnumerator = "clicks"\nunit = "count"\ngood = "up"\n', "utf-8-sig")
    assert Catalogue.of(Settings(metrics_file=str(path))).own == ("touches",)


def test_an_own_metric_is_the_measure_of_every_part_of_a_page_of_explore_and_of_the_api(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[[metric]]\nname = "per_action"\nnumerator = "spend"\ndenominator = "clicks + 3 * conversions"\nunit = "price"\ngood = "down"\n'
    )
    catalogue = Catalogue.of(Settings(metrics_file=str(tmp_path / "own.toml")))
    store = Store()
    store.apply(
        [
            result(campaign="one", clicks=3, conversions=1, spend_micros=12_000_000),
            result(campaign="two", clicks=1, conversions=0, spend_micros=9_000_000),
        ]
    )
    snapshot = store.snapshot()
    question = asked("metric=per_action&sort=per_action", catalogue)
    assert not question.notes
    shown = page(snapshot, question.view, catalogue=catalogue)
    assert {tile.id: tile.value for tile in shown.tiles}["per_action"] == 3.0
    assert [series.values[-1] for series in shown.chart.series] == [3.0]
    at = shown.campaigns.columns.index("per_action")
    assert [(row.name, row.figures[at]) for row in shown.campaigns.rows] == [("two", 9.0), ("one", 2.0)]
    assert {value for row in shown.heatmap.values for value in row} == {2.0, 9.0}
    explored, notes = exploring.asked("measure=per_action&by=campaign&kind=bar&range=all", catalogue)
    assert not notes
    assert exploring.find(snapshot, explored, 60, catalogue=catalogue).frame["per_action"].to_list() == [9.0, 2.0]
    rows = table(snapshot, Selection(interval="total", by=()), window=60, currency="USD", catalogue=catalogue).frame
    assert rows["per_action"].to_list() == [3.0]
    assert asked("metric=per_action").view.metric == "spend"
