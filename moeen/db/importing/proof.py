"""That what was read is what stands: by count and by digest, for each table.

`read` is of the rows as they came and were put into our types; each was hashed before it was written. `standing` is of
the rows of the table now. Digests as of backups: number of rows, sum and exclusive or of 64-bit hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moeen.db.backups.digests import Digest
from moeen.db.importing.staging import Counts, Staging
from moeen.db.importing.writing import row_hash


@dataclass(frozen=True)
class TableProof:
    """One table. ``unrecorded``: rows that were read and are not recorded as they were read, or recorded and not read.

    ``unresolved``: old keys and old public ids that lead to no row; ``altered``: rows that were changed here since they
    came, and ``altered_keys`` some of their old keys.
    """

    table: str
    counts: Counts
    read: Digest
    standing: Digest
    unrecorded: int
    unresolved: int
    altered: int = 0
    altered_keys: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.read == self.standing and not self.unrecorded and not self.unresolved

    def as_dict(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "table": self.table, "ok": self.ok,
            "rows": {"read": counts.read, "refused": counts.refused, "new": counts.new, "changed": counts.changed,
                     "gone": counts.gone, "same": counts.same},
            "read": vars(self.read), "standing": vars(self.standing),
            "unrecorded": self.unrecorded, "unresolved": self.unresolved,
            "altered": self.altered, "altered_keys": list(self.altered_keys),
        }  # fmt: skip


def of_table(staging: Staging) -> TableProof:
    """Look at the table once. The session's settings are those of `digests.prepare`."""
    selection = staging.selection
    named = staging.named()
    hashed = row_hash(selection.target, list(selection.columns), "t")
    recorded, standing, lost = staging.rows(_STANDING, hash=hashed, **named)[0]
    ((unrecorded,),) = staging.rows(_UNRECORDED, **named)
    unresolved, altered, keys = lost, 0, list[str]()
    if recorded != standing:
        ((altered, keys),) = staging.rows(_ALTERED, hash=hashed, **named)
    if selection.public_id is not None:
        ((more,),) = staging.rows(_ALIASES, **named)
        unresolved += more
    return TableProof(
        table=selection.target.name,
        counts=staging.count(),
        read=Digest(int(recorded[0]), *recorded[1:]),
        standing=Digest(int(standing[0]), *standing[1:]),
        unrecorded=unrecorded,
        unresolved=unresolved,
        altered=altered,
        altered_keys=tuple(keys or ()),
    )


_STANDING = """
    SELECT ARRAY[(count(*) FILTER (WHERE row_hash <> 0))::text,
                 coalesce(sum(row_hash), 0)::text, coalesce(bit_xor(row_hash), 0)::text],
           ARRAY[(count(id) FILTER (WHERE row_hash <> 0))::text,
                 coalesce(sum(h), 0)::text, coalesce(bit_xor(h), 0)::text],
           count(*) FILTER (WHERE id IS NULL)
    FROM (SELECT l.row_hash, t.id, CASE WHEN t.id IS NOT NULL AND l.row_hash <> 0 THEN {hash} END AS h
          FROM public.legacy_keys AS l LEFT JOIN {target} AS t ON t.id = l.new_id
          WHERE l.source = {name} AND l.table_name = {table}) AS every
"""
_ALTERED = """
    SELECT count(*), (array_agg(l.old_key ORDER BY length(l.old_key), l.old_key))[1:5]
    FROM public.legacy_keys AS l JOIN {target} AS t ON t.id = l.new_id
    WHERE l.source = {name} AND l.table_name = {table} AND l.row_hash <> 0 AND l.row_hash <> {hash}
"""
_UNRECORDED = """
    SELECT count(*) FROM (SELECT k, d FROM {keys} WHERE verb <> 'gone') AS r
    FULL JOIN (SELECT old_key, digest FROM public.legacy_keys WHERE source = {name} AND table_name = {table}) AS l
    ON l.old_key = r.k
    WHERE l.digest IS DISTINCT FROM r.d AND coalesce(l.old_key, r.k) NOT IN (
        SELECT k FROM {refused} WHERE k IS NOT NULL)
"""
_ALIASES = """
    SELECT count(*) FROM {ready} AS r
    WHERE r.p IS NOT NULL AND NOT EXISTS (SELECT FROM {target} AS t WHERE t.public_id = r.p AND t.id = r.id)
      AND NOT EXISTS (SELECT FROM public.public_id_aliases AS a WHERE a.alias = r.p AND a.row_id = r.id)
"""
