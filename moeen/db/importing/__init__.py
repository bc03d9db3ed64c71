"""A way in for databases of another shape: import by a mapping that people can read.

`mapping`: the file. `source`: the database that rows come from. `target`: our tables and their rules. `proposal`: a
first mapping, by `words` and `guesses`, written as `proposal_text`. `conversions` and `selection`: what is asked of the
source. `staging`: what was read. `judgement`: which rows may not be written, and `refusals`: how that is told.
`writing`, `proof`, `runs`: the run and its receipt. `engine`: all of it.
"""

from __future__ import annotations

from moeen.db.importing.engine import Check, Options, Receipt, Refused, check, propose, run
from moeen.db.importing.source import url_of
from moeen.db.importing.words import Words

__all__ = ["Check", "Options", "Receipt", "Refused", "Words", "check", "propose", "run", "url_of"]
