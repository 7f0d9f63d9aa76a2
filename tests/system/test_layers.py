from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DASHBOARD = "panel_app.app, panel_app.pages.explorer, panel_app.__main__, panel_app.routes, figures.files.export"
FORBIDDEN = {
    "dataflows.contract.schema": {
        "bytewax",
        "confluent_kafka",
        "polars",
        "panel",
        "generator",
        "panel_app",
        "dataflows.contract.settings",
    },
    "dataflows.contract.metrics": {
        "bytewax",
        "confluent_kafka",
        "polars",
        "panel",
        "dataflows.windows.panes",
        "dataflows.kafka.clients",
    },
    "dataflows.windows.panes": {
        "bytewax",
        "confluent_kafka",
        "polars",
        "panel",
        "dataflows.kafka.clients",
        "dataflows.marketing",
    },
    "dataflows.intake.partition": {"bytewax", "confluent_kafka", "polars", "panel", "dataflows.kafka.clients"},
    "dataflows.contract.settings": {"bytewax", "confluent_kafka", "polars", "panel"},
    "dataflows.kafka.clients": {"bytewax", "polars", "panel", "dataflows.windows.panes", "dataflows.marketing"},
    "dataflows.marketing": {"generator", "panel_app", "panel", "polars"},
    "generator.cli": {"bytewax", "panel_app", "panel", "dataflows.windows.panes", "dataflows.marketing"},
    "figures.feed.upserts": {"bytewax", "generator", "dataflows.windows.panes", "dataflows.marketing"},
    DASHBOARD: {"bytewax", "generator", "dataflows.windows.panes", "dataflows.marketing"},
}


@pytest.mark.parametrize("modules", FORBIDDEN, ids=lambda modules: modules.partition(",")[0])
def test_imports_point_one_way(modules: str) -> None:
    program = f"import sys, {modules}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert not FORBIDDEN[modules] & set(imported)


def test_there_is_no_package_at_the_root() -> None:
    assert not (Path(__file__).parents[2] / "__init__.py").exists()
