"""What `--json` prints: one object, which states the version of the project that wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moeen.db.version import project_version


def as_json(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """The document with the key `version` first."""
    return json.dumps({"version": project_version(), **document}, indent=indent, ensure_ascii=False)
