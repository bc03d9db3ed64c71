"""Seals of the audit log: batches of entries hashed into a Merkle tree, chained, signed, and kept outside as well.

`sealing` makes them, `verification` proves the log by them, `anchor` puts them where the database's superuser is none,
`pruning` removes entries that are old enough and keeps the rest provable.
"""
