"""That what was read is what stands: by count and by digest, for each table.

`read` is of the rows as they came and were put into our types; each was hashed before it was written. `standing` is of
the rows of the table now. Digests as of backups: number of rows, sum and exclusive or of 64-bit hashes. Which row is
which is in what is hashed, so two sets of rows are compared without a join; only where they differ a join says how.
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
        return self.read == self.standing and not (self.unrecorded or self.unresolved or self.altered)

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
    """The session's settings are those of `digests.prepare`."""
    selection = staging.selection
    named = staging.named()
    hashed = row_hash(selection.target, list(selection.columns), "t")
    recorded, standing, stands, is_recorded = staging.rows(_SUMS, hash=hashed, **named)[0]
    unrecorded, unresolved, altered, keys = 0, 0, 0, list[str]()
    if not is_recorded:
        ((unrecorded,),) = staging.rows(_UNRECORDED, **named)
    if not stands:
        recorded, standing, unresolved = staging.rows(_STANDING, hash=hashed, **named)[0]
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


#: `stands`: ids and hashes are those that are recorded, of all rows of the table; `is_recorded`: old keys and their
#: digests are those that were read. Where other rows stand beside, or some were refused, the joins tell.
_SUMS = """
    SELECT l.recorded, t.standing, l.rows IS NOT DISTINCT FROM t.rows, l.keys IS NOT DISTINCT FROM r.keys
    FROM (SELECT ARRAY[count(*), coalesce(sum(row_hash), 0), coalesce(bit_xor(row_hash), 0)]::text[] AS recorded,
                 ROW(count(*), sum(h), bit_xor(h)) AS rows, ROW(count(*), sum(k), bit_xor(k)) AS keys
          FROM (SELECT row_hash, hash_record_extended(ROW(new_id, row_hash), 0) AS h,
                       hash_record_extended(ROW(old_key, digest), 0) AS k
                FROM public.legacy_keys WHERE source = {name} AND table_name = {table}) AS every) AS l,
         (SELECT ARRAY[count(*), coalesce(sum(h), 0), coalesce(bit_xor(h), 0)]::text[] AS standing,
                 ROW(count(*), sum(i), bit_xor(i)) AS rows
          FROM (SELECT h, hash_record_extended(ROW(id, h), 0) AS i
                FROM (SELECT id, {hash} AS h FROM {target} AS t OFFSET 0) AS hashed) AS every) AS t,
         (SELECT ROW(count(*), sum(h), bit_xor(h)) AS keys
          FROM (SELECT hash_record_extended(ROW(k, d), 0) AS h FROM {keys} WHERE verb <> 'gone') AS every) AS r
"""
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
