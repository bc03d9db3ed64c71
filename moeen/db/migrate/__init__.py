"""The safe migrate.

`runner`: the whole run. `mutex`: one at a time. `preflight`: whether it is possible at all. `plan`: what each statement
locks. `adoption_report`: what migrate would do to an older database. `invariants`: what must hold after each migration.
`receipt`: what was done. `refusals`: why a run stops.
"""
