"""Mutants of a function's body, made from its text: conditions that hold always or never, parts of them left out,
statements left out, other returns. So a new function is mutated by itself.
"""

import re

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*)|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$|\w+|\"[^\"]*\"|.", re.S
)
_AFTER_WHERE = {"ORDER", "LIMIT", "FOR", "UNION", "LOOP", "RETURNING", "GROUP", "THEN"}
_AFTER_ON = _AFTER_WHERE | {"WHERE", "JOIN", "LEFT", "CROSS", "FULL"}


def mutants(body, *, language, returns):
    """(what was done, body) of each mutant; `returns` as pg_get_function_result() has it."""
    text = _Text(body)
    seen = {body}
    for what, start, end, new in text.changes(language=language, returns=returns):
        made = text.replaced(start, end, new)
        if made not in seen:
            seen.add(made)
            yield f"{what} [{text.line(start)}: {text.between(start, end)}]", made


class _Text:
    """A body as its significant words; spans are [start, end) of these."""

    def __init__(self, body):
        self.body = body
        self.at, self.words = [], []
        for found in _TOKEN.finditer(body):
            if found["space"] is None:
                self.at.append(found.span())
                self.words.append(found[0])
        self.upper = [word.upper() for word in self.words]

    def between(self, start, end):
        return " ".join(self.body[self.at[start][0] : self.at[end - 1][1]].split())

    def line(self, start):
        return 1 + self.body.count("\n", 0, self.at[start][0])

    def replaced(self, start, end, new):
        return self.body[: self.at[start][0]] + new + self.body[self.at[end - 1][1] :]

    def changes(self, *, language, returns):
        for kind, start, end in self._conditions(returns):
            yield f"{kind} holds always", start, end, "true"
            if kind in ("IF", "WHEN"):
                yield f"{kind} holds never", start, end, "false"
            yield from self._parts_left_out(start, end)
        yield from self._lists()
        if language == "plpgsql":
            yield from self._statements(returns)
        else:
            yield from self._selects(returns)

    def _until(self, start, stops):
        """Where the expression that begins at `start` ends: at one of `stops`, or where its bracket closes."""
        depth = cases = 0
        for i in range(start, len(self.words)):
            word = self.upper[i]
            if word in "([":
                depth += 1
            elif word in ")]":
                if depth == 0:
                    return i
                depth -= 1
            elif depth == 0 and word == "CASE":
                cases += 1
            elif depth == 0 and cases and word == "END":
                cases -= 1
            elif depth == 0 and cases == 0 and (word == ";" or word in stops):
                return i
        return len(self.words)

    def _conditions(self, returns):
        for i, word in enumerate(self.upper):
            before = self.upper[i - 1] if i else ""
            if word in ("IF", "ELSIF") and before != "END":
                yield "IF", i + 1, self._until(i + 1, {"THEN"})
            elif word == "WHEN":
                end = self._until(i + 1, {"THEN"})
                if end - i > 2:  # otherwise a value, or the name of an error
                    yield "WHEN", i + 1, end
            elif word == "WHERE":
                yield "WHERE", i + 1, self._until(i + 1, _AFTER_WHERE)
            elif word == "ON" and self.upper[i + 1] != "CONFLICT":
                yield "ON", i + 1, self._until(i + 1, _AFTER_ON)
            elif word == "RETURN" and returns == "boolean":
                yield "RETURN", i + 1, self._until(i + 1, set())

    def _is_of_between(self, start, place):
        """Whether this AND is that of `BETWEEN a AND b`."""
        words = [self.upper[i] for i in self._top(start, place) if self.upper[i] in ("AND", "OR", "BETWEEN")]
        return words[-1:] == ["BETWEEN"]

    def _parts_left_out(self, start, end):
        """Each operand of AND and OR, at any depth; sub-selects have a WHERE of their own."""
        for word in ("OR", "AND"):
            cuts = [i for i in self._top(start, end) if self.upper[i] == word and not self._is_of_between(start, i)]
            if not cuts:
                continue
            parts = list(zip([start, *(c + 1 for c in cuts)], [*cuts, end], strict=True))
            for number, (a, b) in enumerate(parts):
                first, last = (a, b + 1) if number == 0 else (a - 1, b)
                yield f"part of {word} left out", first, last, ""
                yield from self._parts_left_out(a, b)
            return
        for i in self._top(start, end):
            if self.words[i] == "(" and self.upper[i + 1] != "SELECT":
                yield from self._parts_left_out(i + 1, self._until(i + 1, set()))

    def _top(self, start, end):
        """The words of a span that stand in no bracket and no CASE; opening brackets included."""
        depth = cases = 0
        for i in range(start, end):
            word = self.upper[i]
            if word in ")]":
                depth -= 1
            if word == "END" and depth == 0 and cases:
                cases -= 1
            if depth == 0 and cases == 0:
                yield i
            if word in "([":
                depth += 1
            if word == "CASE" and depth == 0:
                cases += 1

    def _lists(self):
        """Values of ARRAY[...] and IN (...), and what coalesce() and nullif() have besides the first."""
        for i, word in enumerate(self.upper[:-1]):
            if self.words[i + 1] not in "([" or word not in ("ARRAY", "IN", "COALESCE", "NULLIF"):
                continue
            end = self._until(i + 2, set())
            commas = [c for c in self._top(i + 2, end) if self.words[c] == ","]
            if word in ("COALESCE", "NULLIF"):
                yield f"{word.lower()} left out", i, end + 1, self.between(i + 2, commas[0])
            elif all(self.words[c + 1].startswith("'") for c in commas) and commas:
                yield "value left out", i + 2, commas[0] + 1, ""
                for comma in commas:
                    yield "value left out", comma, comma + 2, ""

    def _statements(self, returns):
        i = self.upper.index("BEGIN") + 1
        while i < len(self.words):
            word = self.upper[i]
            if word in ("IF", "ELSIF", "WHEN"):
                i = self._until(i + 1, {"THEN"}) + 1
            elif word == "CASE":
                while self.upper[i] != "WHEN":
                    i += 1
            elif word in ("FOR", "FOREACH"):
                i = self._until(i + 1, {"LOOP"}) + 1
            elif word in ("ELSE", "BEGIN", "LOOP", "EXCEPTION"):
                i += 1
            elif word == "END":
                i = self._until(i + 1, set()) + 1
            else:
                end = self._until(i + 1, set())
                if word != "RETURN":
                    yield "statement left out", i, end, "NULL"
                elif returns == "trigger":
                    if self.upper[i + 1] == "NEW":
                        yield "row left out", i + 1, end, "NULL"
                        yield "row as it was", i + 1, end, "OLD"
                elif returns.startswith(("SETOF", "TABLE")):
                    yield "returns nothing", i, end, "RETURN"
                elif returns == "boolean":
                    yield "returns true", i + 1, end, "true"
                    yield "returns false", i + 1, end, "false"
                elif end > i + 1:
                    yield "returns nothing", i + 1, end, "NULL"
                i = end + 1

    def _selects(self, returns):
        unions = [i for i in self._top(0, len(self.words)) if self.upper[i] == "UNION"]
        for cut in unions:
            yield "before UNION left out", 0, cut + 1, ""
            yield "after UNION left out", cut, len(self.words), ""
        if returns.startswith("SETOF "):
            yield "returns nothing", 0, len(self.words), f"SELECT NULL::{returns[6:]} WHERE false"
        else:
            yield "returns nothing", 0, len(self.words), f"SELECT NULL::{returns}"
