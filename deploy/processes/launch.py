"""Start of the dataflow by ``adtally run``: this process becomes the flow, or supervises a cluster of several processes.

In a container the environment asks. ``ADTALLY_PROCESSES=4``: four processes within the container, as one cluster.
``ADTALLY_MEMBERS=4``: the container is one of four that are one cluster; ``ADTALLY_MEMBER`` ends in its number. It finds the others at
``ADTALLY_MEMBER_ADDRESS``, with their numbers in the place of ``{}``, and listens on ``ADTALLY_MEMBER_LISTEN``, or where the others look
for it. The recovery store is with member 0: the others send there what they have to keep. So any number of members resumes from it, and
only one machine opens its files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dataflows.contract.errors import RecoveryError, SettingsError
from dataflows.contract.settings import Settings
from deploy.processes.cluster import MOST, PARTS, flow_command, recovery_store, run_cluster
from deploy.processes.foreground import StopSignal

_ADDRESS = re.compile(r"[^\s;{}]*(\{\}[^\s;{}]*)+:[0-9]{1,5}")


class Member(msgspec.Struct, frozen=True):
    """Number of this container among the `members` of a cluster, as set in the environment."""

    members: int = 1
    number: int = 0
    address: str = ""
    listen: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Member:
        """Return the member that the variables name; raises `SettingsError` for invalid values and for a number that is too high."""
        member = cls(
            _count("ADTALLY_MEMBERS", environment.get("ADTALLY_MEMBERS") or "1"),
            _number(environment),
            environment.get("ADTALLY_MEMBER_ADDRESS", ""),
            environment.get("ADTALLY_MEMBER_LISTEN", ""),
        )
        if member.number >= member.members:
            raise SettingsError(
                f"this is member {member.number}, but ADTALLY_MEMBERS={member.members}: a further member would be a second flow that "
                "counts everything again. Set the number of replicas to ADTALLY_MEMBERS."
            )
        if member.members > 1 and not _ADDRESS.fullmatch(member.address):
            raise SettingsError(
                f"ADTALLY_MEMBER_ADDRESS={member.address!r} can't be used; use host:port with {{}} for a member's number, such as "
                "adtally-dataflow-{}.adtally-dataflow:2101."
            )
        return member

    def folder(self, recovery: Path) -> Path:
        """Return the folder of its recovery store: member 0 has that of the cluster, each other member a folder without one."""
        return recovery / f"member-{self.number}" if self.number else recovery

    def addresses(self) -> list[str]:
        """Return ``host:port`` of each member; for this member, the address on which it listens."""
        addresses = [self.address.replace("{}", str(number)) for number in range(self.members)]
        if self.listen:
            port = addresses[self.number].rpartition(":")[2]
            addresses[self.number] = f"[{self.listen}]:{port}" if ":" in self.listen else f"{self.listen}:{port}"
        return addresses


class Launch(msgspec.Struct, frozen=True):
    """Options of ``adtally run`` for the start of the flow; `cluster`: number of this process and addresses of all."""

    workers: int = 1
    recovery: Path | None = None
    snapshot: int = 5
    backup: int = 0
    processes: int = 1
    run_folder: Path = Path("run/cluster")
    cluster: tuple[int, str] | None = None

    def flags(self) -> list[str]:
        """Return the flags of every process of the flow."""
        return ["-w", str(self.workers), "-s", str(self.snapshot), "-b", str(self.backup)]

    def as_member(self, member: Member) -> Launch:
        """Return this launch as `member` of its cluster; raises `SettingsError` if both set a number of processes."""
        if member.members == 1:
            return self
        if self.processes > 1:
            raise SettingsError(
                f"ADTALLY_PROCESSES={self.processes} and ADTALLY_MEMBERS={member.members}: a member is one process, so "
                "one of them must be 1."
            )
        return msgspec.structs.replace(
            self,
            recovery=None if self.recovery is None else member.folder(self.recovery),
            cluster=(member.number, ";".join(member.addresses())),
        )

    def command(self) -> list[str]:
        """Return the command of a single process."""
        member_flags = [] if self.cluster is None else ["-i", str(self.cluster[0]), "-a", self.cluster[1]]
        recovery = [] if self.recovery is None else ["-r", str(self.recovery)]
        return flow_command(*recovery, *self.flags(), *member_flags)

    def make_folder(self) -> None:
        """Create what is missing of the recovery folder; the store only where this process keeps one. Raises `RecoveryError`."""
        if self.recovery is None:
            return
        if self.cluster is None or not self.cluster[0]:
            recovery_store(self.recovery, PARTS)
            return
        try:
            self.recovery.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise RecoveryError(
                f"the folder {self.recovery} can't be created ({error.strerror}); use another one with -r."
            ) from None


def launch(options: Launch) -> None:
    """Start the flow; returns once a cluster of this machine has stopped, and not at all for a single process, which becomes the flow.

    Raises `SettingsError` and `RecoveryError`, and `PartDiedError` with the line of the process that died first.
    """
    Settings.from_environment()  # so that this process reports invalid settings once
    options = options.as_member(Member.from_environment(os.environ))
    if options.processes > 1:
        recovery = options.recovery or options.run_folder / "recovery"
        run_cluster(options.processes, recovery, options.flags(), StopSignal(), options.run_folder)
        return
    options.make_folder()
    command = options.command()
    # In place of this process, so that a container's SIGTERM reaches the flow, and it stops with a snapshot.
    os.execv(command[0], command)  # noqa: S606 - our own arguments


def _count(name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MOST:
        raise SettingsError(f"{name}={value!r} is not a number of processes; use 1 to {MOST}.")
    return int(value)


def _number(environment: Mapping[str, str]) -> int:
    name = environment.get("ADTALLY_MEMBER", "")
    digits = re.search(r"[0-9]+$", name)
    if name and not digits:
        raise SettingsError(
            f"ADTALLY_MEMBER={name!r} does not end in a number; set it to the member's number or to the name of its pod."
        )
    if not digits and (environment.get("ADTALLY_MEMBERS") or "1") != "1":
        raise SettingsError("ADTALLY_MEMBERS is set but ADTALLY_MEMBER is not; set it to the number of this member, from 0.")
    return int(digits[0]) if digits else 0
