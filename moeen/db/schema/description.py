"""The live catalog for people: an entity diagram (mermaid, dbml) and a data dictionary (markdown)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import catalog
from moeen.db.public_ids import prefix_in
from moeen.db.roles import PREFIX, ROLES

_SHORT = {
    "character varying": "varchar",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}
_LETTERS = {"SELECT": "S", "INSERT": "I", "UPDATE": "U", "DELETE": "D", "ALL": "SIUD"}


def describe(connection: BaseDatabaseWrapper, *, form: str) -> str:
    """The database in one of ``FORMS``; tables that no migration made included."""
    live = catalog.read_whole(connection, roles=ROLES)
    return FORMS[form]([table for table in live.tables.values() if table.kind in "rp"], live) + "\n"


def _markdown(tables: list[catalog.Table], live: catalog.Catalog) -> str:
    parts = [
        "# The schema",
        "Made by `manage.py validate_schema --write-expected` from a database that was migrated from nothing.\n"
        "Not null is the rule; *null* says where a column may be empty. Row security stands on every table: *all* or\n"
        "the rows for which the expression is true, by role (the prefix `moeen_` left out) and command: S select,\n"
        "I insert, U update, D delete. Nothing is let through but for signed identities (app.is_bound()).",
        "## Public ids",
        "Every row bears an id for the outside: the table's prefix and 24 characters, a letter first.",
        _table(
            ("prefix", "table"),
            sorted((f"`{prefix}`", f"[{t.name}](#{t.name})") for t in tables if (prefix := _prefix(t))),
        ),
        "## Diagram",
        f"```mermaid\n{_mermaid(tables, live)}\n```",
        "## Tables",
    ]
    for table in tables:
        parts += [f"### {table.name if table.schema == 'public' else f'{table.schema}.{table.name}'}", *_section(table)]
    parts += ["## Functions"]
    rows = [(f"`{f.schema}.{f.name}`", _kind(f), _cell(f.comment)) for f in live.functions.values()]
    parts.append(_table(("function", "runs as", "what for"), rows))
    return "\n\n".join(parts)


def _section(table: catalog.Table) -> Iterator[str]:
    if table.comment:
        yield table.comment
    keys = _references(table)
    rows = []
    for column in table.columns.values():
        notes = [f"null{'.' if column.comment else ''}"] if not column.not_null else []
        notes += [f"→ [{keys[column.name]}](#{keys[column.name]})"] if column.name in keys else []
        notes += [_cell(column.comment)] if column.comment else []
        default = f"`{_cell(column.default)}`" if column.default else column.identity and "identity"
        rows.append((f"`{column.name}`", _type(column), default, " ".join(notes)))
    yield _table(("column", "type", "default", "notes"), rows)
    rules = [f"- `{c.name}`: `{c.definition}`" for c in table.constraints.values() if c.kind in "ucfx"]
    rules += [
        f"- `{i.name}`: {'unique ' if i.unique else ''}index `{i.definition}`"
        for i in table.indexes.values()
        if not i.constraint
    ]
    rules += [f"- trigger `{t.name}` runs `{t.function}`" for t in table.triggers.values()]
    if rules:
        yield "\n".join(rules)
    yield _policies(table)


def _policies(table: catalog.Table) -> str:
    if not table.row_security:
        return "**Row security is off.**"
    if not table.policies:
        return "Nobody but the owner sees a row."
    cells: dict[tuple[str, str], str] = defaultdict(str)
    for policy in table.policies.values():
        for role in policy.roles if not policy.restrictive else ():
            rows = policy.using or policy.check
            rows = "all" if rows == "true" else f"`{_cell(rows)}`"
            if policy.using and policy.check and policy.check != policy.using:
                rows += f", written rows `{_cell(policy.check)}`"
            cells[role.removeprefix(PREFIX), rows] += _LETTERS[policy.command]
    order = "SIUD"
    if not cells:
        return "Nobody but the owner sees a row."
    lines = sorted((role, "".join(sorted(commands, key=order.index)), rows) for (role, rows), commands in cells.items())
    return _table(("role", "may", "rows"), lines)


def _mermaid(tables: list[catalog.Table], live: catalog.Catalog) -> str:
    lines = ["erDiagram"]
    for table in tables:
        keys = _references(table)
        primary = {n for c in table.constraints.values() if c.kind == "p" for n in c.columns}
        lines.append(f"    {table.name} {{")
        for column in table.columns.values():
            mark = " PK" if column.name in primary else " FK" if column.name in keys else ""
            mark = " UK" if column.name == "public_id" else mark
            lines.append(f"        {re.sub(r'[^A-Za-z0-9_]', '_', _type(column)).strip('_')} {column.name}{mark}")
        lines.append("    }")
    for table, key in _foreign_keys(tables):
        many = "o|" if _is_unique(table, key.columns) else "o{"
        one = "||" if all(table.columns[name].not_null for name in key.columns) else "|o"
        lines.append(f'    {key.references} {one}--{many} {table.name} : "{", ".join(key.columns)}"')
    return "\n".join(lines)


def _dbml(tables: list[catalog.Table], live: catalog.Catalog) -> str:
    blocks = []
    for table in tables:
        primary = next((c.columns for c in table.constraints.values() if c.kind == "p"), ())
        lines = [f'Table "{table.name}" {{']
        for column in table.columns.values():
            marks = ["pk"] if primary == (column.name,) else []
            marks += ["not null"] if column.not_null else []
            marks += ["unique"] if _is_unique(table, (column.name,)) and primary != (column.name,) else []
            marks += [f"default: `{column.default}`"] if column.default else []
            marks += [f"note: {_quoted(column.comment)}"] if column.comment else []
            lines.append(f'  "{column.name}" "{_type(column)}"{_marked(marks)}')
        notes = [table.comment] if table.comment else []
        notes += [f"Public ids begin with {prefix}." for prefix in [_prefix(table)] if prefix]
        notes += [f"{p.name}: {p.command} {', '.join(p.roles)}: {p.using or p.check}" for p in table.policies.values()]
        lines.append(f"  Note: {_quoted(chr(10).join(notes))}")
        blocks.append("\n".join([*lines, "}"]))
    for table, key in _foreign_keys(tables):
        sides = [
            f'"{name}".({", ".join(map(_double, columns))})'
            for name, columns in ((table.name, key.columns), (key.references, key.references_columns))
        ]
        arrow = "-" if _is_unique(table, key.columns) else ">"
        blocks.append(f"Ref: {sides[0]} {arrow} {sides[1]} [delete: {key.on_delete.lower()}]")
    return "\n\n".join(blocks)


FORMS: Mapping[str, Callable[[list[catalog.Table], catalog.Catalog], str]] = {
    "markdown": _markdown,
    "mermaid": _mermaid,
    "dbml": _dbml,
}


def _foreign_keys(tables: Iterable[catalog.Table]) -> Iterator[tuple[catalog.Table, catalog.Constraint]]:
    return ((table, key) for table in tables for key in table.constraints.values() if key.kind == "f")


def _references(table: catalog.Table) -> dict[str, str]:
    """Column -> the table that it refers to by itself."""
    return {c.columns[0]: c.references for c in table.constraints.values() if c.kind == "f" and len(c.columns) == 1}


def _is_unique(table: catalog.Table, columns: tuple[str, ...]) -> bool:
    return any(c.kind in "pu" and set(c.columns) == set(columns) for c in table.constraints.values())


def _prefix(table: catalog.Table) -> str:
    column = table.columns.get("public_id")
    return prefix_in(column.default) if column else ""


def _type(column: catalog.Column) -> str:
    name, _, rest = column.type.partition("(")
    return _SHORT.get(name, name) + (f"({rest}" if rest else "")


def _kind(function: catalog.Function) -> str:
    return "its owner" if function.security_definer else "the caller"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(str(cell or '') for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _quoted(text: str) -> str:
    return "'''" + text.replace("\\", "\\\\").replace("'''", "\\'''") + "'''"


def _double(name: str) -> str:
    return f'"{name}"'


def _marked(marks: list[str]) -> str:
    return f" [{', '.join(marks)}]" if marks else ""
