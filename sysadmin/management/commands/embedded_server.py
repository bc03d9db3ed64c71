"""`manage.py embedded_server start|stop|status`: the PostgreSQL server that comes with the project."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import connection

from moeen.db.archiving import keeping
from moeen.db.errors import ConfigurationError
from moeen.db.server import project
from moeen.db.server.cluster import ROLE
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Start, stop or show the embedded PostgreSQL server. It starts by itself when it is needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("start", "stop", "status"))

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if not connection.settings_dict.get("EMBEDDED") and action == "start":
            raise ConfigurationError(
                "DATABASE_URL is set: the project does not use the embedded server.",
                next_step="Unset DATABASE_URL (environment and .env) to use it.",
            )
        if action == "stop":
            made = project.configured_status().data_dir.exists()
            stopped = made and project.configured_server().stop()
            if keeping.is_embedded():
                keeping.stop()  # after the server: it has received all by then
            self.stderr.write("Stopped." if stopped else "It was not running.")
            return
        if action == "start":
            project.configured_server().ensure_running()
        status = project.configured_status()
        self.stdout.write(f"state    {'running' if status.running else 'stopped'}")
        self.stdout.write(f"version  {status.major or '-'}")
        self.stdout.write(f"pid      {status.pid or '-'}")
        self.stdout.write(f"socket   {status.address.host if status.address else '-'}")
        self.stdout.write(f"logins   {ROLE} (commands), {settings.WEB_LOGIN} (the web)")
        self.stdout.write(f"data     {status.data_dir}")
        self.stdout.write(f"log      {status.log}")
