"""Who this transaction is, at its shorter address; the work is in `security.identity`."""

from __future__ import annotations

from moeen.db.security.identity import (
    ANONYMOUS,
    AUTH,
    OPERATOR,
    SERVICE,
    Identity,
    RoleNotHeld,
    acting_as,
    acting_as_auth,
    acting_as_operator,
    acting_as_service,
    bound,
    current,
)

__all__ = [
    "ANONYMOUS",
    "AUTH",
    "OPERATOR",
    "SERVICE",
    "Identity",
    "RoleNotHeld",
    "acting_as",
    "acting_as_auth",
    "acting_as_operator",
    "acting_as_service",
    "bound",
    "current",
]
