"""What was done to this database, and whether the files that did it are still the same.

`ledger`: runs and their migrations. `files`: whether all is as it was, told by reading files alone. `edits`: files that
were edited knowingly, and the checksums they replace. `own_apps`: whose migrations are kept.
`other_tools`: who else migrates it.
"""
