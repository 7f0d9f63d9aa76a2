"""An event type and a ratio more: only the contract changes, and both engines count them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

CHANGES = {
    "schema.py": (
        ('"refund", "cost"]', '"refund", "cost", "add_to_cart"]'),
        ("    refunds: int\n", "    refunds: int\n    carts: int\n"),
        ("    roas: float | None\n", "    roas: float | None\n    cart_cost: float | None\n"),
    ),
    "metrics.py": (
        ("    refunds: int = 0\n", "    refunds: int = 0\n    carts: int = 0\n"),
        ('    "cost": Contribution(()),\n', '    "cost": Contribution(()),\n    "add_to_cart": Contribution(("carts",)),\n'),
    ),
    "measures.toml": (
        (
            'numerator = "revenue - refunded"\ndenominator = "spend"\nunit = "multiple"\ngood = "up"\n',
            'numerator = "revenue - refunded"\ndenominator = "spend"\nunit = "multiple"\ngood = "up"\n\n'
            '[[metric]]\nname = "cart_cost"\nnumerator = "spend"\ndenominator = "carts"\nunit = "price"\ngood = "down"\n',
        ),
    ),
}
"""What to replace in each module of the contract."""

COUNT = """
import json
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.partition import IntakeState
from tests.support.records import log, payload

HUGE = 2**62
for choice in ("off", "on"):
    engine = Engine(Settings(native=choice))
    intake, cells = engine.make_intake(0, IntakeState(), lambda: 0.0), engine.make_tables()[0]
    values = [payload(f"e{number}", number, event_type="add_to_cart", cost_micros=3) for number in range(7)]
    values += [payload(f"h{number}", number, event_type="add_to_cart", campaign_id="huge", cost_micros=HUGE) for number in range(4)]
    intake.take(log(*values))
    shares, rejected = intake.fetch()
    assert not rejected, rejected
    for _, window, _, packed in shares:
        cells.merge(window, packed, 0, closed=False)
    cells.flush([window for _, window, _, _ in shares], 100.0)
    print(choice)
    for key, value in sorted(cells.take_results().pairs()):
        found = json.loads(value)
        print(json.dumps({name: found[name] for name in ("campaign_id", "carts", "events", "spend_micros", "cart_cost", "roas")}))
"""


@pytest.mark.native
def test_an_event_type_and_a_ratio_more_change_the_contract_only(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dataflows", tmp_path / "dataflows", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name, replacements in CHANGES.items():
        file = tmp_path / "dataflows" / "contract" / name
        text = file.read_text()
        for old, new in replacements:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        file.write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for module in ("dataflows.contract.generate", "dataflows.native.build"):
        subprocess.run([sys.executable, "-m", module], cwd=tmp_path, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    python, native = done.stdout.removeprefix("off\n").split("on\n")
    assert python == native
    assert '"carts": 7, "events": 7, "spend_micros": 21, "cart_cost": 3e-06, "roas": 0.0' in native
    assert f'"campaign_id": "huge", "carts": 4, "events": 4, "spend_micros": {2**64}, ' in native
