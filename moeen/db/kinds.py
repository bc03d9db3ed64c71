"""The sorts of findings: what a finding is filtered, graded and counted by, in code, in SCHEMA_ALLOWED and in JSON."""

from __future__ import annotations

import enum

from moeen.db.names import ObjectKind as Of


class Kind(enum.StrEnum):
    """A sort of finding; its value is what people and JSON read.

    ``about``: the kind of object that it says something of, for the kinds that come from comparing two catalogs.
    """

    about: Of | None

    def __new__(cls, text: str, about: Of | None = None) -> Kind:
        kind = str.__new__(cls, text)
        kind._value_ = text
        kind.about = about
        return kind

    @classmethod
    def missing(cls, about: str) -> Kind:
        """An object of this kind is expected and does not stand."""
        return cls(f"missing {about}")

    @classmethod
    def unexpected(cls, about: str) -> Kind:
        """An object of this kind stands and is not expected."""
        return cls(f"unexpected {about}")

    @classmethod
    def changed(cls, about: str, attribute: str) -> Kind:
        """An attribute of the canonical form differs; of a policy or a rule all are its definition but the comment."""
        if about in (Of.POLICY, Of.RULE) and attribute != "comment":
            attribute = "definition"
        shown = Of.FUNCTION if about == Of.AUTH_FUNCTION else about
        return cls(f"{shown} {attribute.replace('_', ' ')}")

    # --- the catalog: objects that are missing or that nothing expects --------------------------------------------
    MISSING_SCHEMA = "missing schema", Of.SCHEMA
    MISSING_TABLE = "missing table", Of.TABLE
    MISSING_COLUMN = "missing column", Of.COLUMN
    MISSING_CONSTRAINT = "missing constraint", Of.CONSTRAINT
    MISSING_INDEX = "missing index", Of.INDEX
    MISSING_TRIGGER = "missing trigger", Of.TRIGGER
    MISSING_POLICY = "missing policy", Of.POLICY
    MISSING_RULE = "missing rule", Of.RULE
    MISSING_FUNCTION = "missing function", Of.FUNCTION
    MISSING_AUTH_FUNCTION = "missing auth function", Of.AUTH_FUNCTION
    MISSING_SEQUENCE = "missing sequence", Of.SEQUENCE
    MISSING_TYPE = "missing type", Of.TYPE
    MISSING_EXTENSION = "missing extension", Of.EXTENSION
    MISSING_OBJECT = "missing object", Of.OBJECT
    MISSING_EVENT_TRIGGER = "missing event trigger", Of.EVENT_TRIGGER
    MISSING_DEFAULT_PRIVILEGES = "missing default privileges", Of.DEFAULT_PRIVILEGES
    MISSING_ROLE = "missing role", Of.ROLE
    UNEXPECTED_SCHEMA = "unexpected schema", Of.SCHEMA
    UNEXPECTED_TABLE = "unexpected table", Of.TABLE
    UNEXPECTED_COLUMN = "unexpected column", Of.COLUMN
    UNEXPECTED_CONSTRAINT = "unexpected constraint", Of.CONSTRAINT
    UNEXPECTED_INDEX = "unexpected index", Of.INDEX
    UNEXPECTED_TRIGGER = "unexpected trigger", Of.TRIGGER
    UNEXPECTED_POLICY = "unexpected policy", Of.POLICY
    UNEXPECTED_RULE = "unexpected rule", Of.RULE
    UNEXPECTED_FUNCTION = "unexpected function", Of.FUNCTION
    UNEXPECTED_AUTH_FUNCTION = "unexpected auth function", Of.AUTH_FUNCTION
    UNEXPECTED_SEQUENCE = "unexpected sequence", Of.SEQUENCE
    UNEXPECTED_TYPE = "unexpected type", Of.TYPE
    UNEXPECTED_EXTENSION = "unexpected extension", Of.EXTENSION
    UNEXPECTED_OBJECT = "unexpected object", Of.OBJECT
    UNEXPECTED_EVENT_TRIGGER = "unexpected event trigger", Of.EVENT_TRIGGER
    UNEXPECTED_DEFAULT_PRIVILEGES = "unexpected default privileges", Of.DEFAULT_PRIVILEGES
    UNEXPECTED_ROLE = "unexpected role", Of.ROLE

    # --- the catalog: an attribute that differs -------------------------------------------------------------------
    SCHEMA_OWNER = "schema owner", Of.SCHEMA
    SCHEMA_COMMENT = "schema comment", Of.SCHEMA
    SCHEMA_GRANTS = "schema grants", Of.SCHEMA
    TABLE_KIND = "table kind", Of.TABLE
    TABLE_DEFINITION = "table definition", Of.TABLE
    TABLE_ROW_SECURITY = "table row security", Of.TABLE
    TABLE_FORCED = "table forced", Of.TABLE
    TABLE_OPTIONS = "table options", Of.TABLE
    TABLE_AUTOVACUUM = "table autovacuum", Of.TABLE
    TABLE_UNLOGGED = "table unlogged", Of.TABLE
    TABLE_REPLICA_IDENTITY = "table replica identity", Of.TABLE
    TABLE_PARENTS = "table parents", Of.TABLE
    TABLE_OWNER = "table owner", Of.TABLE
    TABLE_COMMENT = "table comment", Of.TABLE
    TABLE_GRANTS = "table grants", Of.TABLE
    COLUMN_TYPE = "column type", Of.COLUMN
    COLUMN_COLLATION = "column collation", Of.COLUMN
    COLUMN_DEFAULT = "column default", Of.COLUMN
    COLUMN_NOT_NULL = "column not null", Of.COLUMN
    COLUMN_GENERATED = "column generated", Of.COLUMN
    COLUMN_IDENTITY = "column identity", Of.COLUMN
    COLUMN_STORAGE = "column storage", Of.COLUMN
    COLUMN_COMPRESSION = "column compression", Of.COLUMN
    COLUMN_STATISTICS = "column statistics", Of.COLUMN
    COLUMN_OPTIONS = "column options", Of.COLUMN
    COLUMN_COMMENT = "column comment", Of.COLUMN
    COLUMN_GRANTS = "column grants", Of.COLUMN
    CONSTRAINT_DEFINITION = "constraint definition", Of.CONSTRAINT
    CONSTRAINT_NOT_VALID = "constraint not valid", Of.CONSTRAINT
    CONSTRAINT_SWITCHED_OFF = "constraint switched off", Of.CONSTRAINT
    CONSTRAINT_COMMENT = "constraint comment", Of.CONSTRAINT
    INDEX_DEFINITION = "index definition", Of.INDEX
    INDEX_UNIQUE = "index unique", Of.INDEX
    INDEX_INVALID = "index invalid", Of.INDEX
    INDEX_COMMENT = "index comment", Of.INDEX
    TRIGGER_DEFINITION = "trigger definition", Of.TRIGGER
    TRIGGER_STATE = "trigger state", Of.TRIGGER
    TRIGGER_COMMENT = "trigger comment", Of.TRIGGER
    POLICY_DEFINITION = "policy definition", Of.POLICY
    POLICY_COMMENT = "policy comment", Of.POLICY
    RULE_DEFINITION = "rule definition", Of.RULE
    FUNCTION_KIND = "function kind", Of.FUNCTION
    FUNCTION_ARGUMENTS = "function arguments", Of.FUNCTION
    FUNCTION_RESULT = "function result", Of.FUNCTION
    FUNCTION_LANGUAGE = "function language", Of.FUNCTION
    FUNCTION_BODY = "function body", Of.FUNCTION
    FUNCTION_VOLATILITY = "function volatility", Of.FUNCTION
    FUNCTION_SECURITY_DEFINER = "function security definer", Of.FUNCTION
    FUNCTION_SETTINGS = "function settings", Of.FUNCTION
    FUNCTION_STRICT = "function strict", Of.FUNCTION
    FUNCTION_LEAKPROOF = "function leakproof", Of.FUNCTION
    FUNCTION_PARALLEL = "function parallel", Of.FUNCTION
    FUNCTION_PLATFORM = "function platform", Of.FUNCTION
    FUNCTION_OWNER = "function owner", Of.FUNCTION
    FUNCTION_COMMENT = "function comment", Of.FUNCTION
    FUNCTION_GRANTS = "function grants", Of.FUNCTION
    SEQUENCE_TYPE = "sequence type", Of.SEQUENCE
    SEQUENCE_COLUMN = "sequence column", Of.SEQUENCE
    SEQUENCE_START = "sequence start", Of.SEQUENCE
    SEQUENCE_INCREMENT = "sequence increment", Of.SEQUENCE
    SEQUENCE_MINIMUM = "sequence minimum", Of.SEQUENCE
    SEQUENCE_MAXIMUM = "sequence maximum", Of.SEQUENCE
    SEQUENCE_CACHE = "sequence cache", Of.SEQUENCE
    SEQUENCE_CYCLE = "sequence cycle", Of.SEQUENCE
    SEQUENCE_UNLOGGED = "sequence unlogged", Of.SEQUENCE
    SEQUENCE_OWNER = "sequence owner", Of.SEQUENCE
    SEQUENCE_GRANTS = "sequence grants", Of.SEQUENCE
    TYPE_KIND = "type kind", Of.TYPE
    TYPE_DEFINITION = "type definition", Of.TYPE
    TYPE_OWNER = "type owner", Of.TYPE
    TYPE_COMMENT = "type comment", Of.TYPE
    TYPE_GRANTS = "type grants", Of.TYPE
    DEFAULT_PRIVILEGES_GRANTS = "default privileges grants", Of.DEFAULT_PRIVILEGES
    ROLE_ATTRIBUTES = "role attributes", Of.ROLE
    ROLE_MEMBERS = "role members", Of.ROLE
    ROLE_NOT_MEMBERS = "role not members", Of.ROLE
    ROLE_MEMBER_OF = "role member of", Of.ROLE

    # --- what only rows can tell ----------------------------------------------------------------------------------
    PUBLIC_IDS_PENDING = "rows without public id"
    PUBLIC_IDS_MALFORMED = "malformed public ids"
    PUBLIC_IDS_GUESSABLE = "guessable public ids"
    PREFIX_SHARED = "shared prefix"
    PREFIX_UNUSED = "unused prefix"
    SEQUENCE_VALUE = "sequence value"
    BACKFILL = "backfill"
    NEVER_MIGRATED = "never migrated"
    MIGRATION_MISSING = "missing migration"
    MIGRATION_UNKNOWN = "unknown migration"
    MIGRATION_EDITED = "edited migration"
    SYSTEM_ROLE = "system role"
    AUDIT_SUSPENDED = "audit suspended"
    PUBLIC_SECRET = "public secret"
    SETTING_VALUE = "setting value"

    # --- what is in the way of migrating --------------------------------------------------------------------------
    PRIVILEGE = "privilege"
    PRIMARY_KEY = "primary key"
    NEW_COLUMN = "new column"
    UNKNOWN_COLUMN = "unknown column"
    VALUES_TOO_LARGE = "values too large"
    VALUES_NOT_CONVERTIBLE = "values not convertible"
    VALUES_EMPTY = "empty values"
    VALUES_NOT_ALLOWED = "values not allowed"
    TIMES_AHEAD = "times in the future"
    TIME_ZONE = "time zone"
    DUPLICATES = "duplicates"
    ORPHANS = "orphans"
    REHEARSAL = "rehearsal"
    TWIN = "twin"
    FOREIGN_POLICY = "policy of others"
    GOES_BLIND = "role that goes blind"
    TRIGGER_FIRES = "trigger that fires"
    PREPARED_TRANSACTION = "prepared transaction"
    IDLE_TRANSACTION = "idle transaction"

    # --- rules of row security ------------------------------------------------------------------------------------
    ACCESS = "access"
    ALWAYS_TRUE = "always true"
    CALL_PER_ROW = "call per row"
    DUPLICATE_INDEX = "duplicate index"
    OPEN_FUNCTION = "open function"
    POLICY_HELPER = "policy helper"
    POLICY_ROLE = "policy's role"
    SEARCH_PATH = "search path"
    SENSITIVE_COLUMN = "sensitive column"
    SEVERAL_POLICIES = "several policies"
    UNINDEXED_CONDITION = "unindexed condition"
    UNINDEXED_FOREIGN_KEY = "unindexed foreign key"
    UNSIGNED_IDENTITIES = "unsigned identities"

    # --- what a restore could not bring back ----------------------------------------------------------------------
    NAME_LOST_ON_RESTORE = "name lost on restore"
    ROWS_READ_ON_RESTORE = "rows read on restore"
    ORPHANS_UNDER_KEY = "orphans under a valid key"
    MADE_BY_NO_RESTORE = "made by no restore"

    # --- what shows rows past row security ------------------------------------------------------------------------
    COPY_ELSEWHERE = "copy elsewhere"
    DATABASE_CONNECT = "database CONNECT"
    DATABASE_CREATE = "database CREATE"
    DATABASE_TEMPORARY = "database TEMPORARY"
    DEFAULT_PRIVILEGES_OF_ANOTHER = "default privileges of another"
    DEFINER_ELSEWHERE = "definer function elsewhere"
    EVENT_TRIGGER_ELSEWHERE = "event trigger elsewhere"
    FOREIGN_KEY_ELSEWHERE = "foreign key elsewhere"
    GRANT_ELSEWHERE = "grant elsewhere"
    INHERITING_TABLE = "inheriting table"
    MATERIALIZED_VIEW = "materialized view"
    MEMBERSHIP = "membership"
    NEIGHBOURS_LOGIN = "neighbour's login"
    OWNED_BY_ROLE = "owned by a role of ours"
    OWNERS_VIEW = "owner's view"
    PARAMETER_GRANT = "parameter grant"
    POWERFUL_LOGIN = "powerful login"
    PUBLICATION = "publication"
    RULE_ELSEWHERE = "rule elsewhere"
    SETTING = "setting"
    STRANGERS_SCHEMA = "stranger's schema"
    STRANGERS_RIGHT = "stranger's right to create"
    STRANGERS_FUNCTION = "stranger's function"
    STRANGE_DEFINER = "definer function in auth"
    UNTRUSTED_ELSEWHERE = "untrusted function elsewhere"

    # --- backups --------------------------------------------------------------------------------------------------
    FILE_MISSING = "missing file"
    FILE_UNEXPECTED = "unexpected file"
    FILE_SIZE = "file size"
    FILE_CHECKSUM = "file checksum"
    FILE_DAMAGED = "damaged file"
    DUMP_CONTENTS = "dump contents"
    RESTORE = "restore"
    ROWS = "rows"
    DIGEST = "digest"
    LARGE_OBJECTS = "large objects"
    INVENTORY = "inventory"
    INVENTORY_GRANT = "grant"
    DATABASE_SETTING = "database setting"

    # --- the audit log against its seals --------------------------------------------------------------------------
    ENTRY_REWRITTEN = "rewritten entry"
    ENTRY_DELETED = "deleted entry"
    ENTRY_INSERTED = "inserted entry"
    ENTRIES_REORDERED = "reordered entries"
    TAIL_CUT = "cut tail"
    SEAL_BROKEN = "broken seal"
    TRAIL_TOUCHED = "trail touched"

    # --- imports --------------------------------------------------------------------------------------------------
    IMPORT_REFUSES = "import refuses"
    IMPORT_LEAVES_OUT = "import leaves out"
    IMPORT_LOSES = "import loses"
