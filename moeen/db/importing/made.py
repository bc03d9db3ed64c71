"""Ids that an import makes, before each row as it comes: as hard to guess as those that the database makes, and much
cheaper by the million.

A row's is a UUID of version 7 (RFC 9562): the moment and a counter, so that indexes grow at their end, then 60 random
bits. A public id has our newest form, of 92 such bits.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from typing import Any

_COUNTED = [b"7%03xa" % number for number in range(1 << 12)]  # the version, 12 bits that ascend, the variant
_NOISE = struct.Struct("15s23s")  # hexadecimal digits of a row's id and of its public id


class Maker:
    """Of the rows of one table. ``prefix`` is that of its public ids, or "" where it has none."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"\t{prefix}i".encode() if prefix else b""
        self._moment = time.time_ns() // 1_000_000

    def before(self, rows: Sequence[Any]) -> bytes:
        """Rows as COPY writes them, each with a new id in front, and a new public id where the table has such."""
        parts = list[Any]()
        for first in range(0, len(rows), len(_COUNTED)):
            self._moment += 1  # of no more rows than the counter has numbers
            head = b"%012x" % self._moment
            part = rows[first : first + len(_COUNTED)]
            noise = _NOISE.iter_unpack(os.urandom(len(part) * _NOISE.size // 2).hex().encode())
            for count, (of_id, of_public_id), row in zip(_COUNTED, noise, part, strict=False):
                if self._prefix:
                    parts += (head, count, of_id, self._prefix, of_public_id, b"\t", row)
                else:
                    parts += (head, count, of_id, b"\t", row)
        return b"".join(parts)
