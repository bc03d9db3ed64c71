"""The embedded PostgreSQL.

`embedded`: its programs, its cluster, its start and stop.
"""
