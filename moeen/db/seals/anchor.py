"""Where seals are kept outside of the database, so that whoever owns it cannot make them anew or cut them off.

A file (on another machine's disk, on write-once storage), or an address that takes lines by POST and gives all of them
back by GET. A line is a seal without its leaves, as JSON: no data of a patient is in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.seals.seal import Seal

FORM = "a file's path, or https://HOST/PATH, which takes lines by POST and gives them back by GET"
SECONDS = 30.0
#: The last lines are looked for in so many bytes.
_END = 65536


@dataclass(frozen=True)
class Anchor:
    """Seals outside, by the file's path or the address."""

    words: str

    def __post_init__(self) -> None:
        if not self.words or ("://" in self.words and not (self._is_url and self._host)):
            raise MoeenError(
                "That is no place for seals.",
                next_step=f"The wanted form: {FORM}",
                exit_code=USAGE,
                code=Code.ANCHOR,
            )

    @property
    def _is_url(self) -> bool:
        return self.words.startswith(("https://", "http://"))

    @property
    def name(self) -> str:
        """For people: of an address the host, since the rest may be a secret."""
        return self._host if self._is_url else self.words

    @property
    def _host(self) -> str:
        try:
            return urlsplit(self.words).hostname or ""
        except ValueError:
            return ""

    def newest(self) -> Seal | None:
        """The last line; None where nothing is kept yet. Raises MoeenError."""
        # Asked for the end, the first line may have been cut off.
        lines = self._lines(end_only=True)
        if len(lines) == 1:
            lines = self._lines(end_only=False)
        return next(iter(self._seals(lines[-1:])), None)

    def read(self) -> list[Seal]:
        """All lines in their order. Raises MoeenError."""
        return self._seals(self._lines(end_only=False))

    def add(self, seals: Sequence[Seal]) -> None:
        """Raises MoeenError (1): they are sealed all the same, and the next run tries again."""
        if not seals:
            return
        text = "".join(f"{one.as_line()}\n" for one in seals)
        try:
            if self._is_url:
                self._ask(text.encode())
            else:
                self._append(text)
        except OSError as error:
            raise MoeenError(
                f"The entries are sealed, but {len(seals)} seals could not be put into {self.name}: {_why(error)}.",
                next_step="Mend the way there and run manage.py seal_audit_log again: it puts all of them there.",
                code=Code.ANCHOR,
            ) from error

    def _append(self, text: str) -> None:
        path = Path(self.words)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def _lines(self, *, end_only: bool) -> list[str]:
        """Without those that an interrupted writer left unfinished: each is the beginning of the next, or the last."""
        text = self._get(end_only=end_only)
        lines = [line for line in text.split("\n") if line]
        if lines and not text.endswith("\n") and lines[-1].startswith("{") and not lines[-1].endswith("}"):
            lines.pop()
        return [one for one, after in pairwise([*lines, ""]) if one == after or not after.startswith(one)]

    def _get(self, *, end_only: bool) -> str:
        try:
            if self._is_url:
                return self._ask(None, end_only=end_only)
            path = Path(self.words)
            if not path.exists():
                return ""
            with path.open("rb") as file:
                if end_only:
                    file.seek(max(0, path.stat().st_size - _END))
                return file.read().decode("utf-8", "replace")
        except OSError as error:
            raise MoeenError(
                f"The seals in {self.name} cannot be read: {_why(error)}. Nothing was changed.",
                next_step="Mend the way there. Without it nobody could tell a log that was cut from a whole one.",
                code=Code.ANCHOR,
            ) from error

    def _ask(self, body: bytes | None, *, end_only: bool = False) -> str:
        # Only here: most commands need none of it.
        from http.client import HTTPException
        from urllib import error, request

        class Direct(request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                """Another place than the one that was named is none."""

        headers = {"Content-Type": "application/x-ndjson"} if body else {}
        if end_only:
            headers["Range"] = f"bytes=-{_END}"
        question = request.Request(self.words, body, headers, method="POST" if body else "GET")
        try:
            with request.build_opener(Direct).open(question, timeout=SECONDS) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except error.HTTPError as refusal:
            refusal.close()
            # Nothing there yet, or (416) nothing of it to give an end of.
            if body is None and refusal.code in (404, 416):
                return ""
            raise OSError(f"it answered {refusal.code}") from None
        except (HTTPException, ValueError):
            # Its words may repeat the address, and with it a secret.
            raise OSError("it is no address that can be asked, or what answered there broke off") from None

    def _seals(self, lines: Sequence[str]) -> list[Seal]:
        try:
            return [Seal.of_line(line) for line in lines]
        except ValueError:
            raise MoeenError(
                f"A line of {self.name} is no seal.",
                next_step="Is it the right place? If so, somebody changed it: compare it with a copy.",
                exit_code=FINDINGS,
                code=Code.AUDIT_DIFFERS,
            ) from None


def _why(error: OSError) -> str:
    return error.strerror or str(getattr(error, "reason", "")) or str(error)
