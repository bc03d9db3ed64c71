"""Any moment of a server: its write-ahead log (WAL) as it is written, and from time to time a copy of its files.

`archivist`: the process that keeps it. `receiver`: pg_receivewal. `bases`: pg_basebackup, and what it makes.
`segments`: pieces of WAL as they lie in the archive. `papers`: what is signed of both. `reach`: how far back one can
go. `recovery`: a server of a moment, and the one database of it that is carried over as any backup is. `checking`:
whether all is as it was signed. `standing`: all of that in a line. `keeping`: whether an archivist runs here.
"""
