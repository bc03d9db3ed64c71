"""What `--json` prints: one object, which states the version of the project that wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from moeen.db.version import project_version


def as_json(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """The document with the key `version` first."""
    text = json.dumps({"version": project_version(), **document}, indent=indent, ensure_ascii=False)
    # JSON lets them stand, and a terminal obeys some.
    return re.sub(r"[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
