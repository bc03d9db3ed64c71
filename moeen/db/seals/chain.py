"""The seals themselves: whether each is as it was made, follows the one before, is signed, and is kept outside so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moeen.db.backups.keys import PublicKey
from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind
from moeen.db.seals.seal import Seal


@dataclass(frozen=True)
class Links:
    """What is wrong with the chain, and what is worth knowing.

    `gaps`: transactions (from, below) of seals that are gone from within it: their entries are in no seal any more.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    gaps: tuple[tuple[int, int], ...]


def examine(seals: Sequence[Seal], *, outside: Sequence[Seal], trusted: Sequence[PublicKey]) -> Links:
    """`seals` in the order of their numbers; `outside` as the anchor has them, none where there is no anchor."""
    findings: list[Finding] = []
    notes: list[str] = []
    gaps: list[tuple[int, int]] = []
    before: Seal | None = None
    first_signed = min((one.number for one in seals if one.signature), default=None)
    for one in seals:
        wanted = before.number + 1 if before else 1
        if one.number != wanted:
            if one.lost_from == wanted:
                notes.append(
                    f"Seals {wanted} to {one.number - 1} are lost: {one.reason} (sealed {one.sealed_at:%Y-%m-%d})"
                )
            else:
                gaps.append((before.complete_below if before else 0, one.complete_below))
                findings.append(_broken(wanted, f"one that seal {one.number} follows", "none"))
        if one.hash != one.digest():
            findings.append(
                _broken(one.number, f"what hashes to {one.hash[:16]}", f"what hashes to {one.digest()[:16]}")
            )
        elif trusted and first_signed is not None and one.number >= first_signed and not one.is_signed(trusted):
            findings.append(
                _broken(one.number, "the signature of a known key", one.signature.partition(":")[0] or "none")
            )
        if (before or wanted == one.number) and one.previous != (before.hash if before else ""):
            findings.append(_broken(one.number, f"one after {(before.hash if before else '')[:16] or 'none'}",
                                    f"one after {one.previous[:16] or 'none'}"))  # fmt: skip
        if one.total - one.entries != (before.total if before else 0) and one.number == wanted:
            findings.append(_broken(one.number, f"{(before.total if before else 0) + one.entries} entries so far",
                                    f"{one.total}"))  # fmt: skip
        before = one
    if seals and not trusted and first_signed is not None:
        notes.append("Signatures were not looked at: no public key is known here (BACKUP_PUBLIC_KEYS).")
    elif seals and first_signed is None:
        notes.append("The seals are not signed: manage.py make_backup_keys makes keys for the next ones.")
    findings += _against(seals, outside)
    return Links(tuple(findings), tuple(notes), tuple(gaps))


def _against(seals: Sequence[Seal], outside: Sequence[Seal]) -> list[Finding]:
    ours = {one.number: one for one in seals}
    lost = [range(one.lost_from, one.number) for one in seals if one.lost_from is not None]
    last = seals[-1].number if seals else 0
    findings: list[Finding] = []
    cut: list[Seal] = []
    for one in outside:
        here = ours.get(one.number)
        if one.hash != one.digest():
            findings.append(_broken(one.number, "one kept outside as it was made", "another text outside"))
        elif here is None and one.number > last:
            cut.append(one)
        elif here is None and not any(one.number in numbers for numbers in lost):
            findings.append(_broken(one.number, f"{one.hash[:16]}, as it is kept outside", "none"))
        elif here is not None and here.hash != one.hash:
            findings.append(_broken(one.number, f"{one.hash[:16]}, as it is kept outside", here.hash[:16]))
    if cut:
        entries = sum(one.entries for one in cut)
        findings.append(
            Finding(
                f"seals {cut[0].number} to {cut[-1].number}", Kind.TAIL_CUT,
                f"{entries} entries up to {cut[-1].sealed_at:%Y-%m-%d %H:%M} UTC, as is kept outside",
                f"nothing after seal {last}", severity=Severity.UNSAFE,
            )
        )  # fmt: skip
    # One seal that was made anew makes all later ones others.
    return findings[:1] + [finding for finding in findings[1:] if finding.kind != Kind.SEAL_BROKEN]


def _broken(number: int, expected: str, found: str) -> Finding:
    return Finding(f"seal {number}", Kind.SEAL_BROKEN, expected, found, severity=Severity.UNSAFE)
