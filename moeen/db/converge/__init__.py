"""A table brought to the shape its model declares, online.

`declared`: a model as DDL. `subject`: a live table beside it. `obstacles`: what is in the way; `conversions`: which
types and values can be carried over. `steps`: what is to be done, in order, from `release`, `leftovers`, `columns`,
`values`, `constraints` and `indexes`. `execution` and `locks`: how a step runs and waits. `offline`: the same steps
told without a database. `converge`: all of it for one model.
"""
