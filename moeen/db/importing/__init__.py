"""A way in for databases of another shape: import by a mapping that people can read.

`mapping`: the file. `source`: the database that rows come from. `target`: our tables and their rules. `conversions` and
`selection`: what is asked of the source. `staging`: what was read. `judgement`: which rows may not be written, and
`refusals`: how that is told. `writing`, `proof`, `runs`: the run and its receipt. `engine`: all of it.
"""

from __future__ import annotations

from moeen.db.importing.engine import Check, Options, Receipt, Refused, check, run
from moeen.db.importing.source import url_of

__all__ = ["Check", "Options", "Receipt", "Refused", "check", "run", "url_of"]
