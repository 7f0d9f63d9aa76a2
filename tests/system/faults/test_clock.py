"""The machine's clock is moved by hours, under the flow and between its runs: by libfaketime, which gives a process another clock."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dataflows.contract.settings import Settings
from tests.support.flows import await_caught_up, counted, recovery_folder, running, send
from tests.support.records import payload
from tests.support.settings import own_names
from tests.system.faults.verdict import await_exact, wrong

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

RECOVER = ("-s", "1", "-b", "0")


class ShiftedClock:
    """The wall clock of the processes that are started from now on; the monotonic one goes on as it does on a machine.

    Such a process should begin with the true time: librdkafka waits by C11's cnd_timedwait until a moment of that clock, which libfaketime
    does not translate. While a process connects to its broker that would hold it up; once it is connected, the broker wakes it.
    """

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("faketime") is None:
            pytest.skip("needs libfaketime (Debian, Ubuntu: apt install faketime)")
        self._file = file
        self.move("+0s")
        told = subprocess.run(
            ["faketime", "-m", "-f", "+0s", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
        )
        for name, value in {
            "LD_PRELOAD": told.stdout.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name before 0.9.10
        }.items():
            monkeypatch.setenv(name, value)

    def move(self, by: str) -> None:
        """To so far from the true time, such as ``+3h``."""
        # Renamed into place, so that no process reads half of it.
        new = self._file.with_suffix(".new")
        new.write_text(f"{by}\n")
        new.replace(self._file)


@pytest.fixture
def mine(real_kafka: str) -> Settings:
    """Topics and a group of this test, on the real Kafka."""
    return own_names(real_kafka)


def feed(settings: Settings, first: int) -> None:
    """1,000 events over ten minutes, half a minute after the ones before."""
    send(settings, [payload(f"e{n}", n * 0.6, campaign_id=f"c{n % 5}") for n in range(first, first + 1000)])


def test_the_clock_is_moved_by_hours_and_no_figure_with_it(
    mine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("-r", str(recovery_folder(tmp_path / "recovery")), *RECOVER)
    with monkeypatch.context() as patch:
        clock = ShiftedClock(tmp_path / "clock", patch)
        with running(mine, tmp_path / "forward", *command) as flow:
            for turn, by in enumerate(("+0s", "+3h", "+30h", "+29.9997h")):
                clock.move(by)
                feed(mine, 1000 * turn)
                await_exact(mine, flow)
            feed(mine, 4000)
            flow.kill()
        # Between the runs it goes back by 30 hours …
        clock.move("+0s")
        with running(mine, tmp_path / "back", *command) as flow:
            await_caught_up(mine)  # by now it runs, whatever the run before it has written
            await_exact(mine, flow)
            # … and within one, by 5: Bytewax would wait until the clock shows again what it has shown, so the flow ends with a line.
            feed(mine, 5000)
            clock.move("-5h")
            assert flow.wait() == [1]
            assert "adtally: the clock of this machine was set back by 18,00" in flow.output().splitlines()[-1]
            assert "run the same command again: nothing is lost" in flow.output()
    with running(mine, tmp_path / "now", *command) as flow:
        await_caught_up(mine)
        await_exact(mine, flow)
        assert flow.stop() == [0]
    assert counted(mine) == 6000
    assert wrong(mine) == []
