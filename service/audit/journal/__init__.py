"""The write-ahead journal: opaque bytes under ids, on this machine's disk before anybody hears of them.

Refuses to know what the bytes mean. `Journal` is for the living process, `adopt` for what dead ones left.
"""

from service.audit.journal.disk import Disk, OsDisk
from service.audit.journal.estate import Estate, Left, adopt
from service.audit.journal.owner import Journal
from service.audit.journal.reading import Batch, Row
from service.audit.journal.shelf import Position
from service.errors import JournalError

__all__ = ["Batch", "Disk", "Estate", "Journal", "JournalError", "Left", "OsDisk", "Position", "Row", "adopt"]
