"""What PostgreSQL's catalog says of a database, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moeen.db.names import ObjectName

#: The schemas that are ours to describe. ``auth`` belongs to the platform where there is one.
SCHEMAS = ("public", "app")
#: Role -> its privileges as SQL writes them, with ``*`` where it may grant them on. PUBLIC is a role here.
Grants = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Column:
    """A column; ``collation`` is "" where the type has none or the database's default applies.

    ``storage``, ``compression`` and ``statistics`` (the target) are "" where the type's and the server's apply.
    """

    name: str
    type: str
    not_null: bool
    default: str
    collation: str
    generated: str
    identity: str
    comment: str
    storage: str = ""
    compression: str = ""
    statistics: str = ""
    options: tuple[str, ...] = ()
    grants: Grants = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Constraint:
    """A primary key ``p``, unique ``u``, foreign key ``f``, check ``c`` or exclusion ``x`` constraint."""

    name: str
    kind: str
    columns: tuple[str, ...]
    definition: str
    validated: bool
    deferrable: bool
    references: str = ""
    references_columns: tuple[str, ...] = ()
    on_delete: str = ""
    comment: str = ""
    switched_off: bool = False  # a superuser did that to the triggers behind a foreign key


@dataclass(frozen=True)
class Index:
    """An index; ``definition`` is what follows ``USING``. ``constraint`` names the constraint it serves, if any."""

    name: str
    unique: bool
    definition: str
    valid: bool
    constraint: str
    comment: str = ""


@dataclass(frozen=True)
class Trigger:
    """A trigger that somebody made (not those behind constraints); ``state``: "", disabled, replica or always."""

    name: str
    definition: str
    function: str
    state: str
    comment: str = ""


@dataclass(frozen=True)
class Policy:
    """A row security policy; an empty expression means that it has none."""

    name: str
    command: str
    restrictive: bool
    roles: tuple[str, ...]
    using: str
    check: str
    comment: str = ""


@dataclass(frozen=True)
class Function:
    """A function or procedure, with everything that decides what it does and as whom.

    ``arguments``: those that tell it from others of its name; ``declared``: all of them, with their defaults. ``kind``,
    ``volatility`` and ``parallel`` are "" for an ordinary, volatile and unsafe one.
    """

    schema: str
    name: str
    arguments: str
    result: str
    language: str
    volatility: str
    security_definer: bool
    settings: tuple[str, ...]
    body: str
    comment: str
    declared: str = ""
    kind: str = ""
    strict: bool = False
    leakproof: bool = False
    parallel: str = ""
    owner: str = field(default="", compare=False)
    grants: Grants = field(default_factory=dict, compare=False)

    @property
    def identity(self) -> ObjectName:
        return ObjectName(self.schema, part=self.name, arguments=self.arguments)

    @property
    def signature(self) -> str:
        return self.identity.pretty()


@dataclass(frozen=True)
class Table:
    """A relation with its parts, each keyed by name. ``kind`` is ``relkind``: r table, v view, p partitioned...

    ``options``: ``name=value`` of its storage parameters, those of its TOAST table as ``toast.name=value``.
    """

    oid: int = field(compare=False)
    schema: str
    name: str
    kind: str
    owner: str = field(compare=False)
    row_security: bool
    forced: bool
    comment: str
    columns: dict[str, Column]
    constraints: dict[str, Constraint]
    indexes: dict[str, Index]
    triggers: dict[str, Trigger]
    policies: dict[str, Policy]
    grants: Grants = field(default_factory=dict, compare=False)
    rules: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    unlogged: bool = False
    definition: str = ""  # of a view
    replica_identity: str = ""
    parents: tuple[ObjectName, ...] = ()

    @property
    def identity(self) -> ObjectName:
        return ObjectName(self.schema, self.name)


@dataclass(frozen=True)
class Schema:
    """A schema of ours."""

    name: str
    owner: str
    comment: str
    grants: Grants


@dataclass(frozen=True)
class Sequence:
    """A sequence; ``column`` is the one it belongs to, if any, as those of identity columns do."""

    schema: str
    name: str
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    unlogged: bool
    column: ObjectName | None
    owner: str
    grants: Grants

    @property
    def identity(self) -> ObjectName:
        return ObjectName(self.schema, self.name)


@dataclass(frozen=True)
class Type:
    """An enum (with its labels), a domain, a range or a type of several columns."""

    schema: str
    name: str
    kind: str
    definition: str
    owner: str
    comment: str
    grants: Grants

    @property
    def identity(self) -> ObjectName:
        return ObjectName(self.schema, self.name)


@dataclass(frozen=True)
class Role:
    """A role of the cluster; ``members``: who may become it, with ``*`` where they hold its rights all the time."""

    name: str
    attributes: tuple[str, ...]
    members: tuple[str, ...]
    member_of: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """All relations, functions and so on, by the `pretty` form of their names.

    The rest is there after ``read_whole``. ``platform``: the functions of schema auth; ``platform_is_ours``: whether
    a migration made that schema. ``others``: objects of further kinds in our schemas. ``defaults``: default
    privileges, by role, schema ("" for all) and kind of object. ``superusers`` and ``platform_roles`` are those the
    cluster has.
    """

    tables: dict[str, Table]
    functions: dict[str, Function]
    owner: str = ""
    version: str = ""
    schemas: dict[str, Schema] = field(default_factory=dict)
    sequences: dict[str, Sequence] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    others: tuple[ObjectName, ...] = ()
    roles: dict[str, Role] = field(default_factory=dict)
    defaults: dict[tuple[str, str, str], Grants] = field(default_factory=dict)
    platform: dict[str, Function] = field(default_factory=dict)
    platform_is_ours: bool = False
    superusers: frozenset[str] = frozenset()
    platform_roles: frozenset[str] = frozenset()
    event_triggers: tuple[str, ...] = ()
