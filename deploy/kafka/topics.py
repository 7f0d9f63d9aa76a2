"""Creates the topics of a deployment: ``python -m deploy.kafka.topics``; waits for the broker, leaves what exists as it is.

Where that is not what the contract asks for, a line says so, with the command that mends it.
"""

from __future__ import annotations

import argparse
import sys

from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines


def main() -> int:
    """Wait for the broker and create what is missing; returns the exit code: 0, or 2 where it can't."""
    argparse.ArgumentParser(
        prog="python -m deploy.kafka.topics", description=(__doc__ or "").partition(":")[0] + "."
    ).parse_args()
    try:
        settings = Settings.from_environment()
        log_lines.set_up(settings, "topics")
        names = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
        topics = Topics(settings)
        topics.wait(*names)
        log_lines.tell(f"topics on {settings.brokers}: {', '.join(names)}")
        for line in topics.strayed(*names):
            log_lines.say("topics", line)
    except AdtallyError as error:
        log_lines.say("topics", str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
