"""State of a snapshot: a folder of another version or of other rules is refused in one line, and the command in that line works."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dataflows.contract.errors import RecoveryError
from dataflows.contract.metrics import Metrics
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.flow.state import VERSION, count_again, load, save
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.shards import Partial
from dataflows.windows.watermark import SourceClock
from dataflows.wire.cell_bytes import CellFormat
from tests.support.flows import counters, environment, read_topic, recovery_folder, running, send, wait_for
from tests.support.records import payload
from tests.system.oracle.compare import differences
from tests.system.oracle.terms import Terms

RECOVER = ("-s", "1", "-b", "0")
MINUTE = 60_000_000
MESSAGES = [*(payload(f"e{number % 190}", number, cost_micros=number) for number in range(200)), b"{no event"]
"""Some of them repeated, one malformed."""


def wrong(settings: Settings) -> list[str]:
    terms = Terms(lateness=settings.allowed_lateness_seconds, max_ahead=settings.max_ahead_seconds)
    topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    return differences(settings.brokers, *topics, terms, group=settings.group)


def rewrite(folder: Path, change: Callable[[Any], Any], step: str) -> None:
    """Put `change` of each state of `step` in its place."""
    for part in folder.glob("part-*.sqlite3"):
        with closing(sqlite3.connect(part)) as store, store:
            rows = store.execute("SELECT rowid, ser_change FROM snaps WHERE step_id = ?", (step,)).fetchall()
            for row, data in rows:
                store.execute("UPDATE snaps SET ser_change = ? WHERE rowid = ?", (change(data), row))


def refused(settings: Settings, folder: Path, log: Path) -> str:
    """The one line with which a run on `folder` ends."""
    with running(settings, log, "-r", str(folder), *RECOVER) as flow:
        assert flow.wait() == [1]
    *before, last = flow.output().splitlines()
    assert not [line for line in before if "Traceback (most recent call last)" in line]
    return last


@pytest.fixture
def stopped(settings: Settings, tmp_path: Path) -> Path:
    """The recovery folder of a run that counted some messages and was stopped."""
    send(settings, MESSAGES)
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) >= len(MESSAGES), "all messages to be counted")
        assert flow.stop() == [0], flow.output()
    return folder


def test_a_state_of_another_version_is_refused_and_the_command_in_that_line_counts_everything_again(
    settings: Settings, stopped: Path, tmp_path: Path
) -> None:
    def later(data: bytes) -> bytes:
        return pickle.dumps(pickle.loads(data) | {"adtally": VERSION + 1})

    rewrite(stopped, later, "marketing.logs")
    rewrite(stopped, lambda _: b"cdataflows.windows\nNoSuchClass\n.", "marketing.windows")  # as if it kept objects again
    line = refused(settings, stopped, tmp_path / "of an unknown class")
    assert line.startswith(
        f"adtally: the state in the recovery folder has an unknown version, but this adtally reads version {VERSION}; go"
    )
    rewrite(stopped, lambda _: pickle.dumps({"adtally": VERSION + 1}), "marketing.windows")
    line = refused(settings, stopped, tmp_path / "refused")
    told = re.fullmatch(
        rf"adtally: the state in the recovery folder has version {VERSION + 1}, but this adtally reads version {VERSION}; go back to the "
        rf"version that wrote it, or count all that {settings.logs_topic} still holds again, into new topics: (mkdir .+)",
        line,
    )
    assert told, line
    new = replace(settings, results_topic=f"{settings.results_topic}-2", rejected_topic=f"{settings.rejected_topic}-2")
    where = {**environment(settings), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    where["PYTHONPATH"] = str(Path(__file__).parents[3])
    with subprocess.Popen(
        ["sh", "-c", told[1]], cwd=tmp_path, env=where, start_new_session=True, stderr=subprocess.PIPE
    ) as again:
        try:
            wait_for(lambda: exists(new) and not wrong(new), "exact figures on the new topics")
        finally:
            os.killpg(again.pid, signal.SIGTERM)
            again.communicate(timeout=60)


AD = "ADTALLY_BREAKDOWNS=ad=adgroup_id,ad_id;device=device"


def exists(settings: Settings) -> bool:
    return bool(read_topic(settings, settings.results_topic))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"window_seconds": 30}, "ADTALLY_WINDOW_SECONDS=60, but it is 30 now"),
        ({"allowed_lateness_seconds": 900.0}, "ADTALLY_ALLOWED_LATENESS_SECONDS=600, but it is 900 now"),
        ({"out_of_order_seconds": 2.5}, "ADTALLY_OUT_OF_ORDER_SECONDS=5, but it is 2.5 now"),
        ({"currency": "EUR"}, "ADTALLY_CURRENCY=USD, but it is EUR now"),
        ({"breakdowns": ""}, "ADTALLY_BREAKDOWNS=ad=adgroup_id,ad_id;device=device, but it is (none) now"),
        ({"breakdowns": "device;ad=adgroup_id,ad_id"}, f"{AD}, but it is device=device;ad=adgroup_id,ad_id now"),
        ({"breakdowns": "ad=ad_id,adgroup_id;device"}, f"{AD}, but it is ad=ad_id,adgroup_id;device=device now"),
        ({"breakdowns": "ads=adgroup_id,ad_id;device"}, f"{AD}, but it is ads=adgroup_id,ad_id;device=device now"),
        ({"breakdown_cells": 9}, "ADTALLY_BREAKDOWN_CELLS=10000, but it is 9 now"),
        ({"event_types": "lead,cart"}, "ADTALLY_EVENT_TYPES=lead:conversion,cart, but it is lead,cart now"),
        ({"event_types": "cart,lead:conversion"}, "ADTALLY_EVENT_TYPES=lead:conversion,cart, but it is cart,lead:conversion now"),
    ],
)
def test_a_folder_that_was_counted_by_other_rules_is_refused(changed: dict[str, Any], name: str) -> None:
    before = Settings(breakdowns="ad=adgroup_id,ad_id;device", event_types="lead:conversion,cart")
    saved = save(Panes(before, Engine(before).make_tables()).state(), before)
    with pytest.raises(RecoveryError) as caught:
        load(saved, PanesState, replace(before, **changed))
    assert str(caught.value).startswith(
        f"the state in the recovery folder was counted with {name}; set it back, or count all that logs"
    )


def test_the_bound_of_cells_may_change_where_there_is_no_breakdown() -> None:
    saved = save(Panes(Settings(), Engine(Settings()).make_tables()).state(), Settings())
    assert load(saved, PanesState, Settings(breakdown_cells=5)) is not None


def test_a_state_is_kept_as_plain_values_and_comes_back_as_it_was() -> None:
    panes = Panes(Settings(), Engine(Settings()).make_tables())
    cells = CellFormat().pack({("c", "search", "EUR"): Metrics(events=1, spend_micros=2**70)})
    panes.take([Partial(0, 1, SourceClock(2**53, idle=False), {(2**53 // MINUTE * MINUTE, 0): cells})], 0.0)
    state = panes.state()
    saved = save(state, Settings())
    assert not re.search(rb"dataflows|msgspec", pickle.dumps(saved))
    assert load(pickle.loads(pickle.dumps(saved)), PanesState, Settings()) == state


def test_workers_that_load_their_first_states_at_once_do_not_disturb_each_other() -> None:
    command = [sys.executable, "-m", "tests.support.engines.first_loads", "30"]
    done = subprocess.run(command, env=environment(Settings()), capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "0"


def test_an_object_and_a_state_of_an_earlier_version_are_refused() -> None:
    state = Panes(Settings(), Engine(Settings()).make_tables()).state()
    with pytest.raises(RecoveryError, match="has an unknown version, but"):
        load(state, PanesState, Settings())
    with pytest.raises(RecoveryError, match="has version 1, but"):
        load(save(state, Settings()) | {"adtally": 1}, PanesState, Settings())


def test_an_invalid_state_that_claims_this_version_is_refused() -> None:
    saved = save(Panes(Settings(), Engine(Settings()).make_tables()).state(), Settings())
    with pytest.raises(RecoveryError, match="is not valid state of version 3"):
        load(saved | {"state": {"window": "a minute"}}, PanesState, Settings())


def test_the_topics_to_count_into_again_are_new_also_the_second_time_and_all_of_the_logs_is_read() -> None:
    told = count_again(replace(Settings(), results_topic="results-2", start="latest"))
    assert (
        "&& ADTALLY_START=earliest ADTALLY_RESULTS_TOPIC=results-3 ADTALLY_REJECTED_TOPIC=rejected-2 python -m bytewax.run"
        in told
    )
