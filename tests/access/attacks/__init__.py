"""The attacks, as data: see attacks.toml."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Attack:
    """One of attacks.toml, which tells what the fields mean."""

    name: str
    sql: tuple[str, ...]
    leaves: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    covers: tuple[str, ...] = ()
    closes: str = ""
    temp: bool = False
    gains: dict[str, str] = field(default_factory=dict)

    def filled(self, values: dict[str, str]) -> list[str]:
        """The statements with every {word} of `values` in its place."""
        found = list(self.sql)
        for word, value in values.items():
            found = [text.replace("{" + word + "}", value) for text in found]
        return found


def read() -> list[Attack]:
    """All attacks, in the order of the file."""
    entries = tomllib.loads((Path(__file__).parent / "attacks.toml").read_text(encoding="utf-8"))["attack"]
    return [
        Attack(**entry | {"sql": tuple(entry["sql"]), "covers": tuple(entry.get("covers", ()))}) for entry in entries
    ]
