"""Fleets of many small clinics on one throwaway server, made by copying: a database takes a tenth of a second."""

from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from moeen.db.server.cluster import Server
from tests import servers, templates

#: The newest migration of the app that comes first; a database that lacks its record is behind, and soon is not.
NEWEST = ("sysadmin", max(path.stem for path in (templates.PROJECT / "sysadmin" / "migrations").glob("0*.py")))
BEHIND = "DELETE FROM django_migrations WHERE (app, name) = ('{}', '{}')".format(*NEWEST)
#: Makes every migration fail, when it is recorded.
FAILING = "ALTER TABLE django_migrations ADD CONSTRAINT failing CHECK (false) NOT VALID"
MENDED = "ALTER TABLE django_migrations DROP CONSTRAINT failing"
DRIFTED = "DROP INDEX migration_runs_started_at_idx"
FOREIGN = "CREATE TABLE orders (id int)"


@dataclass(frozen=True)
class Clinics:
    """The server, the file that names the clinics, and the control database's URL."""

    server: Server
    path: Path
    control: str

    @property
    def environment(self) -> dict[str, str]:
        return {"FLEET_FILE": str(self.path), "DATABASE_URL": self.control}

    def connect(self, name: str):
        return servers.target_of(self.server).connect(name, user=self.server.role)

    def lacking(self) -> list[str]:
        """The clinics of ours that are behind."""
        with servers.target_of(self.server).connect() as connection:
            standing = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'clinic%'").fetchall()
        return sorted(name for (name,) in standing if self._is_behind(name))

    def _is_behind(self, name: str) -> bool:
        with self.connect(name) as owner:
            query = "SELECT FROM django_migrations WHERE (app, name) = (%s, %s)"
            return owner.execute(query, NEWEST).fetchone() is None


def make(folder: Path, *, many: int, behind: bool = True, strange: dict[str, tuple[str, int]] | None = None) -> Clinics:
    """So many clinics. ``strange``: kind -> what is done to the first of them, and how many; `unreachable` ones are
    nowhere, `foreign` ones hold no table of ours."""
    server = servers.start(settings=(("max_connections", "100"), ("shared_buffers", "256MB")))
    target = servers.target_of(server)
    owner = {"owner": server.role}
    target.create("control", template=templates.MIGRATED, **owner)
    target.create("model", template=templates.MIGRATED, **owner)
    if behind:
        with target.connect("model", user=server.role) as connection:
            connection.execute(BEHIND)
    names, urls = iter(range(many)), {}
    kinds = [kind for kind, (_, count) in (strange or {}).items() for _ in range(count)]
    for number in names:
        kind = kinds[number] if number < len(kinds) else ""
        name = f"{kind or 'clinic'}_{number:03}"
        urls[name] = target.url(name, user=server.role)
        if kind == "unreachable":
            urls[name] = f"postgresql://u@127.0.0.1:1/{name}"
            continue
        _copy(target, name, "template0" if kind == "foreign" else "model", server.role)
        if kind:
            with target.connect(name, user=server.role) as connection:
                connection.execute(strange[kind][0])
    path = folder / "fleet.toml"
    lines = []
    # The first one is nobody's trouble: else nothing would follow it.
    for name, url in sorted(urls.items()):
        (folder / name).write_text(url, encoding="ascii")
        (folder / name).chmod(0o600)
        lines.append(f'[clinics.{name}]\ndatabase = "file:{name}"\ntags = ["{name.partition("_")[0]}"]\n')
    path.write_text("".join(lines), encoding="utf-8")
    return Clinics(server, path, target.url("control", user=server.role))


def _copy(target: servers.Target, name: str, template: str, owner: str) -> None:
    """Of the same rights; no database of the clinic's is written through the log."""
    with target.connect() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} ENCODING 'UTF8' STRATEGY FILE_COPY").format(
                *map(sql.Identifier, (name, owner, template))
            )
        )
        if template != "template0":
            target._let_in(connection, name, template)
