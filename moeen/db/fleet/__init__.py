"""Many clinics, each a database of its own, on any number of servers.

`clinics`: which there are, by a file. `status`: how each stands, at one look; `memory`: what an earlier look has
worked out.
"""
