"""Why a run waits or ended: a word that programs know, and what was measured; the sentence is made where it is read."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Why(enum.StrEnum):
    """The word, as the run's row keeps it. What failed for another reason is told in that reason's words."""

    REPLICA_SIZE = "replica_size"
    REPLICA_TIME = "replica_time"
    ARCHIVE = "archive"
    LOCKS = "locks"
    DEAD_ROWS = "dead_rows"
    PAUSE_FILE = "pause_file"
    PAUSE_ASKED = "pause_asked"
    CANCELLED = "cancelled"
    REFUSED = "refused"


_SAID = {
    Why.REPLICA_SIZE: "a replica is {} MB behind",
    Why.REPLICA_TIME: "a replica is {} s behind",
    Why.ARCHIVE: "{} WAL segments wait to be archived",
    Why.LOCKS: "another session has waited {} s for a lock of ours",
    Why.DEAD_ROWS: "too many dead rows wait for vacuum ({})",
    Why.PAUSE_FILE: "file {} exists",
    Why.PAUSE_ASKED: "an operator asked for a pause",
    Why.CANCELLED: "an administrator cancelled it",
    Why.REFUSED: "{} rows refused their value; it did not look for more",
}


@dataclass(frozen=True)
class Note:
    """A reason and its one measure, as text."""

    why: Why
    measure: str = ""

    def __str__(self) -> str:
        return _SAID[self.why].format(self.measure)

    def kept(self) -> str:
        """For a column of text: the word, a space, the measure."""
        return f"{self.why} {self.measure}".rstrip()

    @classmethod
    def read(cls, text: str) -> Note | None:
        """What ``kept`` wrote; None where the text is something else."""
        word, _, measure = text.partition(" ")
        try:
            return cls(Why(word), measure)
        except ValueError:
            return None
