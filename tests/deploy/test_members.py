"""Several containers as one cluster, as the pods of deploy/kubernetes-cluster are: each its own command, without a common supervisor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from deploy.processes.launch import Launch, Member
from tests.support.deploy.pods import Pods, pod_environment
from tests.support.flows import counted, send, wait_for
from tests.support.records import payload
from tests.support.settings import own_names
from tests.system.faults.verdict import wrong

START = Callable[[Settings], Pods]

POD = {
    "ADTALLY_MEMBERS": "3",
    "ADTALLY_MEMBER": "adtally-dataflow-1",
    "ADTALLY_MEMBER_ADDRESS": "adtally-dataflow-{}.adtally-dataflow:2101",
    "ADTALLY_RECOVERY_FOLDER": "/recovery/store",
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[START]:
    """Pods on some settings, of which none is left when the test ends."""
    begun: list[Pods] = []

    def begin(settings: Settings) -> Pods:
        begun.append(Pods(replace(settings, idle_seconds=1.0), tmp_path))
        return begun[-1]

    yield begin
    for pods in begun:
        pods.close()


def events(first: int, last: int) -> list[bytes]:
    return [payload(f"e-{number}", number * 0.1, campaign_id=f"c-{number % 7}") for number in range(first, last)]


def test_a_member_finds_the_others_by_their_names_and_keeps_no_store_but_the_first() -> None:
    second = Member.from_environment(POD)
    names = [f"adtally-dataflow-{number}.adtally-dataflow:2101" for number in range(3)]
    assert second.addresses() == names
    store = Path("/recovery/store")
    assert Launch(workers=2, recovery=store).as_member(second).command()[2:] == [
        *["bytewax.run", "dataflows.marketing", "-r", f"{store}/member-1", "-w", "2", "-s", "5", "-b", "0"],
        *["-i", "1", "-a", ";".join(names)],
    ]
    assert Member.from_environment({**POD, "ADTALLY_MEMBER": "0"}).folder(store) == store


@pytest.mark.parametrize(("address", "own"), [("10.1.2.3", "10.1.2.3:2101"), ("fd00::7", "[fd00::7]:2101")])
def test_a_member_listens_on_its_own_address(address: str, own: str) -> None:
    assert Member.from_environment({**POD, "ADTALLY_MEMBER_LISTEN": address}).addresses()[1] == own


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ADTALLY_MEMBERS": "many"}, "ADTALLY_MEMBERS='many' is not a number of processes; use 1 to 32"),
        ({"ADTALLY_MEMBERS": "33"}, "use 1 to 32"),
        ({"ADTALLY_MEMBERS": "1"}, "this is member 1, but ADTALLY_MEMBERS=1"),
        ({"ADTALLY_MEMBER": "adtally-dataflow-3"}, "this is member 3, but ADTALLY_MEMBERS=3"),
        ({"ADTALLY_MEMBER": "dataflow"}, "ADTALLY_MEMBER='dataflow' does not end in a number"),
        ({"ADTALLY_MEMBER": ""}, "ADTALLY_MEMBER is not; set it to the number of this member"),
        ({"ADTALLY_MEMBER_ADDRESS": ""}, "ADTALLY_MEMBER_ADDRESS='' can't be used; use host:port with {}"),
        ({"ADTALLY_MEMBER_ADDRESS": "dataflow:2101"}, "use host:port with {}"),
        ({"ADTALLY_MEMBER_ADDRESS": "dataflow-{}"}, "use host:port with {}"),
    ],
)
def test_an_invalid_member_is_reported_in_one_line(change: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        Member.from_environment({**POD, **change})
    assert "\n" not in str(caught.value)


def test_a_member_is_one_process() -> None:
    with pytest.raises(SettingsError, match="a member is one process, so one of them must be 1"):
        Launch(processes=2).as_member(Member.from_environment(POD))


def test_the_manifests_make_members_of_the_pods(tmp_path: Path) -> None:
    for number in range(2):
        one = Member.from_environment(pod_environment(number, 2, tmp_path, 2101))
        assert (one.members, one.number) == (2, number)
        assert one.addresses() == ["127.0.0.10:2101", "127.0.0.11:2101"]


def test_a_pod_too_many_ends_with_a_line_and_touches_nothing(settings: Settings, start: START, tmp_path: Path) -> None:
    pods = start(settings)
    pods.scale(2, 2)
    assert pods.running[2].wait(60) == 2
    (line,) = pods.log(2).read_text().splitlines()
    assert line.startswith("adtally: this is member 2, but ADTALLY_MEMBERS=2")
    assert not (tmp_path / "volume-2").exists()


def test_connected_members_restart_if_one_restarts_while_another_is_still_missing(settings: Settings, start: START) -> None:
    send(settings, events(0, 50))
    pods = start(settings)
    pods.scale(3, 0, 2)
    # Both have met; member 1 is late.
    wait_for(lambda: pods.met(0), "the first and the last to meet")
    pods.running[2].kill()
    assert pods.running[0].wait(60) == 1
    last = pods.log(0).read_text().splitlines()[-1]
    assert last.startswith("adtally: another process of this cluster has ended, and a cluster runs only with all its processes")
    pods.start(1)
    pods.until(lambda: counted(settings) == 50, "all three to find each other")
    assert pods.stop() == [0, 0, 0]
    said = "".join(pods.log(number).read_text() for number in range(3))
    assert "Traceback" not in said


@pytest.mark.kafka
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(600)
def test_pods_are_killed_and_rescaled_and_every_number_is_kept(real_kafka: str, start: START, tmp_path: Path) -> None:
    mine = own_names(real_kafka)
    pods = start(mine)
    sent = 0

    def exact(more: int) -> None:
        nonlocal sent
        send(mine, events(sent, sent + more))
        sent += more
        pods.until(lambda: counted(mine) == sent, f"{sent} events")

    pods.scale(2)
    exact(500)
    pods.until(lambda: all(pods.probe(number, what) for number in range(2) for what in ("ready", "live")), "both to be ready")
    pods.running[1].kill()
    exact(500)
    assert pods.restarts >= 2, "the other one had to restart with it"
    assert pods.stop() == [0, 0]
    pods.scale(4)
    exact(500)
    pods.running[0].kill()  # with the store
    exact(500)
    assert pods.stop() == [0, 0, 0, 0]
    pods.scale(1)
    exact(500)
    wait_for(lambda: not wrong(mine), "the oracle to find nothing")
    assert pods.stop() == [0]
    assert len(list((tmp_path / "volume-0" / "store").glob("part-*.sqlite3"))) == 8
    assert not list(tmp_path.glob("volume-[1-9]/**/part-*"))
    said = "".join(pods.log(number).read_text() for number in range(4))
    assert "Traceback" not in said
