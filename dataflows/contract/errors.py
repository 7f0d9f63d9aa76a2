"""Errors that the operator of adtally can fix.

::

    AdtallyError                 one line for a person: the culprit, then the cure
    ├── SettingsError            an environment variable or a flag has a value that can't be used
    ├── BrokerError              the broker can't be reached, or refuses what is asked of it
    │   ├── RefusedError         the broker does not let this client in, or this client can't talk to it; waiting does not help
    │   ├── TopicMissingError    the topic does not exist on the broker
    │   └── OffsetGoneError      the log no longer holds the events at which a run must resume
    ├── DeliveryError            the broker did not take a record; going on would lose it
    ├── RecoveryError            the recovery folder is missing, in use, or not ours
    ├── InputError               a file or an option of a command can't be used
    └── OutputError              what a command is for can't be written to standard output

Whatever has none of these types is a defect of adtally and keeps its traceback.
"""

from typing import ClassVar


class AdtallyError(Exception):
    """Base class of the errors: one line that names the culprit and the cure, shown without a traceback."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that fails with this error: 1 if it failed, 2 if its settings, options or input can't be used."""


class SettingsError(AdtallyError):
    """A setting has a value that can't be used."""

    exit_code = 2


class BrokerError(AdtallyError):
    """The broker can't be reached, or it refuses a request."""


class RefusedError(BrokerError):
    """The broker does not let this client in, or this client can't be set up or does not trust the broker: waiting does not help."""


class TopicMissingError(BrokerError):
    """The topic does not exist on the broker."""


class OffsetGoneError(BrokerError):
    """The log no longer holds the events at which a run must resume."""


class DeliveryError(AdtallyError):
    """The broker did not acknowledge a record for good."""


class RecoveryError(AdtallyError):
    """The recovery folder is missing, not writable, in use, or of another flow."""


class InputError(AdtallyError):
    """A file, a column or an option of a command can't be used."""

    exit_code = 2


class OutputError(AdtallyError):
    """Standard output takes no more: its disk is full, say."""
