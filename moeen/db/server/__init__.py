"""The PostgreSQL that comes with pip.

`programs`: where its programs are. `cluster`: one is made, started, stopped. `project`: the project's own. `places`:
where data and programs lie. `users`, `sockets`, `processes`: what the operating system has to do with it.
"""
