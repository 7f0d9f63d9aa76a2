"""Creates the topics of a deployment: ``python -m deploy.topics``; waits for the broker, leaves what exists as it is."""

from __future__ import annotations

import logging
import sys

from dataflows.errors import AdtallyError
from dataflows.kafka import Topics
from dataflows.settings import Settings


def main() -> int:
    """Wait for the broker and create what is missing; returns the exit code: 0, or 2 for settings that can't be used."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = Settings.from_environment()
        names = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
        Topics(settings).wait(*names)
    except AdtallyError as error:
        print(f"topics: {error}", file=sys.stderr)  # noqa: T201 - what the command says
        return 2
    print(f"topics on {settings.brokers}: {', '.join(names)}")  # noqa: T201 - what the command says
    return 0


if __name__ == "__main__":
    sys.exit(main())
