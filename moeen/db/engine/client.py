"""`manage.py dbshell`: psql, for the embedded server the one that came with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql.client import DatabaseClient as PostgresClient

from moeen.db.server import project

from .project import refuse_other_project


class DatabaseClient(PostgresClient):
    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        if not settings_dict.get("EMBEDDED"):
            args, env = super().settings_to_cmd_args_env(settings_dict, list(parameters))
            # Django hands on only what concerns TLS; of several hosts psql is to find the same one.
            wanted = settings_dict.get("OPTIONS", {}).get("target_session_attrs")
            return args, {**(env or {}), "PGTARGETSESSIONATTRS": wanted} if wanted else env
        server = project.configured_server()
        address = server.ensure_running()
        target = {**settings_dict, "HOST": address.host, "PORT": str(address.port)}
        args, env = super().settings_to_cmd_args_env(target, list(parameters))
        # PGHOSTADDR would lead elsewhere than to the socket.
        return [str(server.bin_dir / "psql"), *args[1:]], {**(env or {}), "PGHOSTADDR": ""}

    def runshell(self, parameters: Iterable[str]) -> None:
        refuse_other_project(self.connection.settings_dict)
        super().runshell(parameters)
