"""What was done to this database, and whether the files that did it are still the same.

`ledger`: runs and steps, and the checksums of their files. `untouched`: the same told from the files alone. `edits`:
files that were edited knowingly, and the checksums they replace.
"""
