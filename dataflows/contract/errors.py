"""What can go wrong in a way that the person who runs adtally can mend.

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


class AdtallyError(Exception):
    """One line that names the culprit and the cure; shown to a person without a traceback."""


class SettingsError(AdtallyError):
    """A setting has a value that can't be used."""


class BrokerError(AdtallyError):
    """The broker can't be reached, or it refuses what is asked of it."""


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


class OutputError(AdtallyError):
    """Standard output takes no more: its disk is full, say."""
