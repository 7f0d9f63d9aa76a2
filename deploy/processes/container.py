"""What a container of the dataflow runs: ``run-dataflow``. It makes the recovery store if there is none, and becomes the flow.

``ADTALLY_PROCESSES=4``: four processes within the container, as one cluster. ``ADTALLY_MEMBERS=4``: the container is one of four that are
one cluster, by the number at the end of its name, ``ADTALLY_MEMBER``. It finds the others where ``ADTALLY_MEMBER_ADDRESS`` says, with
their numbers in the place of ``{}``, and listens on ``ADTALLY_MEMBER_LISTEN``, or where the others look for it. The store is with member 0:
what the others have to keep they send there. So any number of members goes on with it, and only one machine ever opens its files.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from dataflows.contract.errors import AdtallyError, RecoveryError, SettingsError
from dataflows.telemetry.log_lines import say
from deploy.processes.cluster import MOST, recovery_store

_ADDRESS = re.compile(r"[^\s;{}]*(\{\}[^\s;{}]*)+:[0-9]{1,5}")


class Container(msgspec.Struct, frozen=True):
    """What the environment says of a container: its recovery folder, processes within it, and its place among the `members`."""

    recovery: Path
    processes: int
    members: int = 1
    number: int = 0
    address: str = ""
    listen: str = ""

    @classmethod
    def from_environment(cls, given: Mapping[str, str]) -> Container:
        """Raises `SettingsError` for what can't be, and for a container that has no place among the members."""
        one = cls(
            Path(given.get("ADTALLY_RECOVERY_FOLDER") or "/recovery"),
            _count("ADTALLY_PROCESSES", given.get("ADTALLY_PROCESSES") or "1"),
            _count("ADTALLY_MEMBERS", given.get("ADTALLY_MEMBERS") or "1"),
            _number(given),
            given.get("ADTALLY_MEMBER_ADDRESS", ""),
            given.get("ADTALLY_MEMBER_LISTEN", ""),
        )
        if one.number >= one.members:
            raise SettingsError(
                f"this is member {one.number}, and ADTALLY_MEMBERS={one.members} has no place for it: a second flow would count all again. "
                "Have as many replicas as ADTALLY_MEMBERS says."
            )
        if one.members > 1 and one.processes > 1:
            raise SettingsError(
                f"ADTALLY_PROCESSES={one.processes} and ADTALLY_MEMBERS={one.members}: a member is one process; leave one of them at 1."
            )
        if one.members > 1 and not _ADDRESS.fullmatch(one.address):
            raise SettingsError(
                f"ADTALLY_MEMBER_ADDRESS={one.address!r} can't be used; give host:port with {{}} for a member's number, such as "
                "adtally-dataflow-{}.adtally-dataflow:2101."
            )
        return one

    def folder(self) -> Path:
        """Where it looks for a recovery store: member 0 for that of all, each other one where there is none."""
        return self.recovery / f"member-{self.number}" if self.number else self.recovery

    def addresses(self) -> list[str]:
        """``host:port`` of each member, of its own that on which it listens."""
        found = [self.address.replace("{}", str(number)) for number in range(self.members)]
        if self.listen:
            port = found[self.number].rpartition(":")[2]
            found[self.number] = f"[{self.listen}]:{port}" if ":" in self.listen else f"{self.listen}:{port}"
        return found

    def command(self, more: Sequence[str]) -> list[str]:
        """What it becomes; `more` are flags of bytewax.run."""
        if self.processes > 1:
            # It passes signals on, and ends all when one dies: the container is then restarted as a whole.
            flags = [str(self.processes), "--run", "/tmp/cluster", "-r", str(self.recovery)]  # noqa: S108 - the container's own
            return ["python", "-m", "deploy.processes.cluster", *flags, *more]
        place = ["-i", str(self.number), "-a", ";".join(self.addresses())] if self.members > 1 else []
        flow = ["python", "-m", "bytewax.run", "dataflows.marketing"]
        return [*flow, "-r", str(self.folder()), "-s", "5", "-b", "0", *place, *more]

    def make_folder(self) -> None:
        """Make what is missing of `folder`; a store only where this container keeps one. Raises `AdtallyError`."""
        if not self.number:
            recovery_store(self.recovery, self.processes)
            return
        try:
            self.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise RecoveryError(
                f"the folder {self.folder()} can't be made ({error.strerror}); give another ADTALLY_RECOVERY_FOLDER."
            ) from None


def _count(name: str, value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MOST:
        raise SettingsError(f"{name}={value!r} is no number of processes; give 1 to {MOST}.")
    return int(value)


def _number(given: Mapping[str, str]) -> int:
    name = given.get("ADTALLY_MEMBER", "")
    found = re.search(r"[0-9]+$", name)
    if name and not found:
        raise SettingsError(f"ADTALLY_MEMBER={name!r} ends in no number; give a member's number, or the name of its pod.")
    if not found and (given.get("ADTALLY_MEMBERS") or "1") != "1":
        raise SettingsError("ADTALLY_MEMBERS is set and ADTALLY_MEMBER is not: give this member's number, from 0 on.")
    return int(found[0]) if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the flow; where that can't be, say why in one line, and return 1."""
    try:
        one = Container.from_environment(os.environ)
        one.make_folder()
    except AdtallyError as error:
        say("run-dataflow", str(error))
        return 1
    command = one.command(sys.argv[1:] if arguments is None else arguments)
    # In place of this process, so that the container's SIGTERM reaches the flow, and it stops with a snapshot.
    return os.execvp(command[0], command)  # noqa: S606 - our own arguments


if __name__ == "__main__":
    sys.exit(main())
