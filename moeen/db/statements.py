"""SQL text taken apart: a script into statements, an ALTER TABLE into its actions.

The one reader of SQL text: literals, quoted names, comments and dollar quotes are known for what they are, so nothing
inside them is taken for a word of SQL. The rules are those of PostgreSQL's own lexer (scan.l), to the letter: whoever
finds a difference could hide a statement in it. Taken for granted is ``standard_conforming_strings = on``, its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# A character beyond ASCII is a letter to PostgreSQL, a blank one too; only ASCII blanks separate words, and a comment
# ends with either end of a line. After an E'...' a literal on the next line goes on with its backslashes.
# Letters are written as "all but ...": a set that ends with the last character there is takes `re` 25 ms to compile.
_LETTER, _BLANK = r"[^\x00-@\[-\^`{-\x7f]", r"[ \t\n\r\f\v]"
_WORD = rf"{_LETTER}(?:{_LETTER}|[0-9$])*"
_NEXT_LINE = rf"(?=(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r])(?:{_BLANK}|--[^\n\r]*+)*+"
_TOKEN = re.compile(
    rf"""(?P<comment>--[^\n\r]*|/\*) | (?P<body>\$(?P<tag>(?:{_LETTER}(?:{_LETTER}|[0-9])*)?)\$.*?\$(?P=tag)\$)
        | (?P<text>[eE]'(?:[^'\\]|''|\\.)*'
                   (?:{_NEXT_LINE}'(?:[^'\\]|''|\\.)*')*
                  |'(?:[^']|'')*')
        | (?P<name>"(?:[^"]|"")*") | (?P<end>;)
        | (?P<word>{_WORD}) | (?P<space>{_BLANK}+) | (?P<plain>[0-9.]+(?:{_LETTER}|[0-9])*|.)""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_ALLOW = re.compile(r"lint: allow (moeen\.[EW]\d+): *(\S.*)")
#: Words of a DO block after which a statement of its own begins.
_OPENING = frozenset({"BEGIN", "THEN", "ELSE", "LOOP"})
_NAME = rf'(?:"(?:[^"]|"")+"|{_WORD})'
#: A name as it may stand in a statement, with its schema or without.
PATH = rf"{_NAME}(?: ?\. ?{_NAME})*"


@dataclass(frozen=True)
class Statement:
    """One statement.

    ``words``: it without comments and line breaks, a literal as ``'...'``, a dollar-quoted body as ``$...$``.
    ``shape``: the words with every quoted name as ``"..."``. ``text``: what PostgreSQL is sent, without comments.
    ``allowed``: the ids for which a comment gives a reason.
    """

    words: str
    literals: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()
    shape: str = ""
    text: str = ""

    def matches(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.words, re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """A piece of SQL text as PostgreSQL's lexer sees it."""

    kind: str
    text: str

    @property
    def word(self) -> str:
        """In upper case; "" of what is no word."""
        return self.text.upper() if self.kind == "word" else ""


def split(text: str, *, block: bool = False) -> Iterator[Statement]:
    """The statements of a script; with ``block``, of the body of a DO block, plain and inside IF and LOOP."""
    return iter(_split(text, block=block))


@lru_cache(maxsize=4096)  # the same files are looked through by many rules, and run by many migrations
def _split(text: str, *, block: bool) -> tuple[Statement, ...]:
    return tuple(_statements(text, block=block))


def _statements(text: str, *, block: bool) -> Iterator[Statement]:
    said: list[Token] = []
    inside, atomic = 0, False
    for token in tokens(text):
        # CASE ... END is an expression, unless a statement of PL/pgSQL begins with it.
        if token.word == "ATOMIC" or (token.word == "CASE" and _says(said)):
            inside, atomic = inside + 1, atomic or token.word == "ATOMIC"
        elif token.word == "END":
            inside = max(inside - 1, 0)
        ends = token.kind == "end" and not (atomic and inside)
        if ends or (block and not inside and token.word in _OPENING):
            yield from _statement(said)
            said, inside, atomic = [], 0, False
        else:
            said.append(token)
    yield from _statement(said)


def split_deep(text: str) -> Iterator[Statement]:
    """The statements, and after each DO block those inside it, which run at once too."""
    for statement in split(text):
        yield statement
        yield from inside(statement)


def inside(statement: Statement) -> Iterator[Statement]:
    """The statements of a DO block: plain ones, and what they give to EXECUTE as a text."""
    if not statement.matches(r"^DO\b"):
        return
    for body in statement.literals:
        for inner in split(body, block=True):
            yield _allowing(inner, statement)
            for literal in inner.literals:
                yield from (_allowing(_allowing(said, inner), statement) for said in split(literal))


def without_brackets(shape: str) -> str:
    """The shape with ``(...)`` for whatever stands in round brackets."""
    kept, depth = "", 0
    for character in shape:
        depth -= character == ")"
        kept += character if depth <= 0 else ""
        if character == "(":
            kept += "..." if depth <= 0 else ""
            depth += 1
    return kept


def parts_of(path: str) -> tuple[str, ...]:
    """A name as it stands in a statement, as PostgreSQL keeps it: ``Public."My table"`` is public and My table."""
    return tuple(
        name[1:-1].replace('""', '"') if name.startswith('"') else name.lower() for name in re.findall(_NAME, path)
    )


def reasons(allowed: Mapping[str, str]) -> frozenset[str]:
    """The ids for which a reason of some words is given."""
    return frozenset(id_ for id_, reason in allowed.items() if len(reason.split()) > 1)


def tokens(text: str) -> Iterator[Token]:
    """All of the text, in pieces: comment, body (dollar-quoted), text, name (quoted), end (;), word, space or plain."""
    at = 0
    while found := _TOKEN.match(text, at):
        kind, at = found.lastgroup or "plain", found.end()
        if found[0] == "/*":
            at = _comment_end(text, at)
        # A tag is a group of its own within the body.
        yield Token("body" if kind == "tag" else kind, text[found.start() : at])


def _comment_end(text: str, at: int) -> int:
    """Where a comment ends whose opening ends at ``at``: comments stand inside each other."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _says(tokens: Iterable[Token]) -> bool:
    return any(token.kind not in ("space", "comment") for token in tokens)


def _statement(tokens: list[Token]) -> Iterator[Statement]:
    if not _says(tokens):
        return
    literals = [_literal(token) for token in tokens if token.kind in ("text", "body")]
    comments = [found for token in tokens if token.kind == "comment" and (found := _ALLOW.search(token.text))]
    masks = {"text": "'...'", "body": "$...$", "space": " ", "comment": " "}
    words = [masks.get(token.kind, token.text) for token in tokens]
    shape = ['"..."' if token.kind == "name" else word for token, word in zip(tokens, words, strict=True)]
    yield Statement(
        _in_one_line(words),
        tuple(literals),
        reasons({found[1]: found[2] for found in comments}),
        _in_one_line(shape),
        "".join(" " if token.kind == "comment" else token.text for token in tokens).strip(),
    )


def _in_one_line(words: list[str]) -> str:
    return "".join(word for before, word in pairwise(["", *words]) if not word == before == " ").strip()


def _literal(token: Token) -> str:
    if token.kind == "body":
        mark = token.text.index("$", 1) + 1
        return token.text[mark:-mark]
    if token.text.startswith("'"):
        return token.text[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", token.text[2:-1].replace("''", "'"), flags=re.DOTALL)


def _allowing(inner: Statement, outer: Statement) -> Statement:
    return Statement(inner.words, inner.literals, inner.allowed | outer.allowed, inner.shape, inner.text)
