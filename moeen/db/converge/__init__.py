"""A table brought to the shape its model declares, online.

`declared`: a model as DDL. `adoption`: a live table beside it, what differs and what is in the way. `steps`: what is to
be done, and doing it. `offline`: the same steps without a database. `locks`: how each waits for its lock.
"""
