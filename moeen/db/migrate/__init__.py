"""The safe migrate.

`runner` is the whole run. `mutex`: one at a time. `preflight`: is it possible at all. `planning`: what each statement
locks. `surveying`: what adopting would do. `invariants`: what must hold afterwards. `receipt`: what was done.
"""
