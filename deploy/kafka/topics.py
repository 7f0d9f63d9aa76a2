"""Creates the topics of a deployment: ``python -m deploy.topics``; waits for the broker, leaves what exists as it is.

Where that is not what the contract asks for, a line says so, with the command that mends it.
"""

from __future__ import annotations

import argparse
import sys

from dataflows import logs
from dataflows.errors import AdtallyError
from dataflows.settings import Settings
from dataflows.topics import Topics


def main() -> int:
    """Wait for the broker and create what is missing; returns the exit code: 0, or 2 where it can't."""
    argparse.ArgumentParser(prog="python -m deploy.topics", description=(__doc__ or "").partition(":")[0] + ".").parse_args()
    try:
        settings = Settings.from_environment()
        logs.set_up(settings, "topics")
        names = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
        topics = Topics(settings)
        topics.wait(*names)
        logs.tell(f"topics on {settings.brokers}: {', '.join(names)}")
        for line in topics.strayed(*names):
            logs.say("topics", line)
    except AdtallyError as error:
        logs.say("topics", str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
