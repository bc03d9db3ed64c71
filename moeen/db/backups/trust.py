"""Whose a backup is: the manifest's signature is checked before anything that stands in it is believed."""

from __future__ import annotations

from collections.abc import Sequence

from moeen.db.backups import keys, manifest
from moeen.db.backups.manifest import Manifest
from moeen.db.backups.store import Store
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.logs import logger

SIGNED, UNSIGNED, WRONG, UNCHECKED = "signed", "unsigned", "wrong", "unchecked"


class Untrusted(MoeenError):
    """Nobody known here has signed the backup; nothing of it was believed, run or changed."""

    default_code = Code.NOT_TRUSTED

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"Backup {name} {what}. Nothing was changed.",
            next_step="If the key that made it was another one, add its public key to BACKUP_PUBLIC_KEYS. If you know "
            "where the backup comes from: --unsigned REASON; the reason is recorded.",
            exit_code=FINDINGS,
        )


def state(store: Store, name: str) -> str:
    """SIGNED, UNSIGNED, WRONG (by no key that is known here) or UNCHECKED (no key is known). Raises Damaged, and
    MoeenError where it cannot be told which keys are trusted."""
    text, signature = manifest.signature_of(store.manifest_bytes(name))
    if not signature:
        return UNSIGNED
    known = keys.trusted_if_any()
    if not known:
        return UNCHECKED
    return SIGNED if keys.is_signed(text, signature, known) else WRONG


def manifest_of(store: Store, name: str, *, unsigned: str = "", trusted: Sequence[keys.PublicKey] = ()) -> Manifest:
    """The manifest of a backup that a known key has signed, or one of `trusted`; raises Untrusted, and Damaged.

    `unsigned`: the reason why it is believed all the same. It goes into the log.
    """
    data = store.manifest_bytes(name)
    text, signature = manifest.signature_of(data)
    paper = store.read_manifest(name, data)
    if signature and keys.is_signed(
        text, signature, trusted or (keys.trusted_if_any() if unsigned else keys.trusted())
    ):
        return paper
    what = "is not signed" if not signature else "is signed by no key that is known here, or was changed since"
    if not unsigned.strip():
        raise Untrusted(name, what)
    logger("backup").warning("unsigned backup believed", extra={"id": name, "what": what, "reason": unsigned})
    return paper
