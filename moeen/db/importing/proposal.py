"""The first mapping for a source: which table and column of it stands for which of ours, and how sure that is.

Guesses come from names (and what is known to mean the same, see `words`), types, foreign keys, and the words that occur
where a column of ours is a list of words; nothing else of a row is written down. What has no place is a line to decide
on, and so is what needs a value and has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from moeen.db.importing.guesses import Guess, Values, fits, group, listed
from moeen.db.importing.mapping import UNDECIDED
from moeen.db.importing.selection import fits as named
from moeen.db.importing.source import ForeignKey, Source, SourceTable
from moeen.db.importing.target import ID, PUBLIC_ID, Target
from moeen.db.importing.words import Words, letters

#: What names and columns weigh when two tables are compared; under LEAST they have too little in common.
_NAME, _COLUMNS, LEAST = 0.55, 0.45, 0.5
#: Names of keys that tell nothing of their table.
_USUAL = ("id", "no", "code", "key", "number", "uuid")
#: A guess for a column that is less sure is none.
LEAST_COLUMN = 0.5


@dataclass
class ProposedTable:
    """One table of ours, and what of the source stands for it. ``is_part``: in the source of another table of ours.

    ``left``: columns of the source without a place -> what they hold.
    """

    target: Target
    of: SourceTable
    sure: float
    source: str
    key: tuple[str, ...]
    is_part: bool
    match: str = ""
    public_id: Guess | None = None
    columns: dict[str, Guess] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        guesses = [*self.columns.values(), *([self.public_id] if self.public_id else [])]
        return {name for guess in guesses for name in guess.uses}


@dataclass(frozen=True)
class Proposal:
    """``left``: tables of the source without a place -> what they hold."""

    tables: tuple[ProposedTable, ...]
    left: Mapping[str, str]

    @property
    def placed(self) -> int:
        """Columns of ours that have a source."""
        guesses = [guess for table in self.tables for guess in (*table.columns.values(), table.public_id)]
        return sum(guess is not None and not guess.open for guess in guesses)

    @property
    def open(self) -> int:
        """Lines to decide on."""
        guesses = sum(guess.open for table in self.tables for guess in table.columns.values())
        return guesses + len(self.left) + sum(len(table.left) for table in self.tables)


def propose(source: Source, targets: Mapping[str, Target], words: Words, *, full: Iterable[str]) -> Proposal:
    """``full``: those of our tables that hold rows already, such as the roles that come with a migration."""
    return _Proposer(source, targets, words, frozenset(full)).proposal()


class _Proposer:
    def __init__(self, source: Source, targets: Mapping[str, Target], words: Words, full: frozenset[str]) -> None:
        self.source, self.targets, self.words, self.full = source, targets, words, full
        self.theirs = source.tables()
        self.shown = source.shown_by_views()
        self.values = Values(source, words)
        #: Ours -> theirs, and those that are done.
        self.sources: dict[str, str] = {}
        self.made: dict[str, ProposedTable] = {}

    def proposal(self) -> Proposal:
        pairs = self._pairs()
        self.sources = {ours: theirs for ours, (theirs, _) in pairs.items()}
        for ours, (theirs, sure) in sorted(pairs.items(), key=lambda pair: (self._is_part(pair[0]), pair[0])):
            table = self._table(self.targets[ours], self.theirs[theirs], sure)
            if self._is_worth_it(table):
                self.made[ours] = table
        for name in {table.of.name for table in self.made.values()}:
            self._leave([table for table in self.made.values() if table.of.name == name])
        placed = {table.of.name for table in self.made.values()}
        left = {}
        for name, other in self.theirs.items():
            if name in placed or other.kind not in ("r", "p"):
                continue
            if not other.readable:
                left[name] = "the source's role may not read it"
            elif count := self.values.count(other):
                views = sorted(view for view in placed if name in self.shown.get(view, ()))
                left[name] = f"{count:,} rows" + (f"; what {', '.join(views)} shows of it is taken" if views else "")
        for schema, names in self.source.elsewhere().items():
            if unread := [name for name in names if not self._reads(schema, name)]:
                left[f"{schema}.*"] = f"tables of another schema that hold rows: {', '.join(unread)}"
        return Proposal(tuple(self.made[name] for name in sorted(self.made)), left)

    def _reads(self, schema: str, table: str) -> bool:
        return any(named(f"{schema}.{table}", made.source) for made in self.made.values())

    # --- tables -----------------------------------------------------------------------------------------------------

    def _pairs(self) -> dict[str, tuple[str, float]]:
        """Each of ours with at most one of theirs; parts of a table stand in the source of the whole."""
        scores = {
            (ours.name, theirs.name): self._alike(ours, theirs)
            for ours in self.targets.values()
            for theirs in self.theirs.values()
            if theirs.readable
        }
        self._drop_impossible(scores)
        found: dict[str, tuple[str, float]] = {}
        taken: set[str] = set()
        for (ours, theirs), score in sorted(scores.items(), key=lambda one: (-one[1], one[0])):
            if score < LEAST or ours in found or theirs in taken:
                continue
            part = self.words.parts.get(ours)
            # A part can stand in the source of the whole, the whole not in that of a part.
            name = part.of if part and part.of not in found and scores.get((part.of, theirs), 0) >= LEAST else ours
            found[name] = theirs, scores[name, theirs]
            taken.add(theirs)
        for ours, known in self.words.parts.items():
            if ours in self.targets and ours not in found and known.of in found:
                found[ours] = found[known.of][0], 0.7
        return found

    def _drop_impossible(self, scores: dict[tuple[str, str], float]) -> None:
        """A table of ours whose rows must refer to those of another has no source where that one has none."""
        while True:
            possible = {ours for (ours, _), score in scores.items() if score >= LEAST}
            possible |= {name for name, part in self.words.parts.items() if part.of in possible}
            lost = [pair for pair in scores if not self._required(self.targets[pair[0]]) <= possible]
            if not lost:
                return
            for pair in lost:
                del scores[pair]

    def _required(self, ours: Target) -> set[str]:
        """The tables that each of its rows must refer to."""
        refers = {other for column, other in ours.references.items() if ours.columns[column].not_null}
        return refers & self.targets.keys()

    def _alike(self, ours: Target, theirs: SourceTable) -> float:
        name = self.words.table(ours.name, theirs.name)
        if not name:
            return 0.0
        hits = sum(
            any(self._named(ours, column, theirs, other)[0] >= LEAST_COLUMN for other in theirs.columns)
            for column in ours.writable
        )
        return _NAME * name + _COLUMNS * min(1.0, hits / min(len(ours.writable), len(theirs.columns)))

    def _is_part(self, ours: str) -> bool:
        part = self.words.parts.get(ours)
        return part is not None and self.sources.get(part.of) == self.sources[ours]

    def _is_worth_it(self, table: ProposedTable) -> bool:
        """A part that takes nothing but its key from the whole would be rows for nothing."""
        placed = [name for name, guess in table.columns.items() if not guess.open]
        if not table.is_part:
            return bool(placed)
        if len(placed) < len(table.columns):
            return False
        own = [name for name in placed if name not in table.target.references and name not in self.words.everywhere]
        if self.words.parts[table.target.name].column:
            return len(own) > 1
        return bool(own) or sum(name in table.target.references for name in placed) > 1

    def _leave(self, tables: list[ProposedTable]) -> None:
        """What none of the tables that share a source takes of it is the first one's to decide on."""
        tables.sort(key=lambda table: table.is_part)
        used = {name for table in tables for name in (*table.used, *table.key)}
        for name, kind in tables[0].of.columns.items():
            if name not in used and (count := self.values.filled(tables[0].of, name)):
                tables[0].left[name] = f"{kind}, {count:,} values"

    # --- columns ----------------------------------------------------------------------------------------------------

    def _table(self, target: Target, of: SourceTable, sure: float) -> ProposedTable:
        made = ProposedTable(target, of, sure, of.name, self._key(of), self._is_part(target.name))
        self._references(made)
        self._names(made)
        self._by_name(made, of)
        if made.is_part:
            self._only_the_part(made)
        else:
            self._by_contents(made)
            self._join(made)
            made.public_id = self._public_id(made) if target.prefix else None
        if target.name in self.full:
            alone = [unique.columns[0] for unique in target.uniques if len(unique.columns) == 1]
            made.match = next((name for name in alone if name in made.columns), "")
        for name in target.writable:
            column = target.columns[name]
            if column.not_null and not column.default and name not in made.columns:
                made.columns[name] = Guess(constant=UNDECIDED, sure=0.0, why="a value is needed, and none is like it")
        made.columns = {name: made.columns[name] for name in target.writable if name in made.columns}
        return made

    def _key(self, of: SourceTable) -> tuple[str, ...]:
        if of.key:
            return of.key
        found = next((name for name in of.columns if name.lower() == ID), "")
        return (found or next(iter(of.columns)),)

    def _named(self, ours: Target, column: str, theirs: SourceTable, other: str) -> tuple[float, str]:
        """How sure it is that a column of theirs stands for one of ours, by name and type."""
        sure, why = self.words.column(ours.name, column, other, of=theirs.name)
        if column not in ours.references:
            sure *= fits(theirs.columns[other], ours.columns[column].type, is_enum=other in theirs.labels)
        return sure, why

    def _references(self, made: ProposedTable) -> None:
        """Ours that hold a row's id: by a foreign key of theirs, by name, or two foreign keys on."""
        ours, of = made.target, made.of
        known = {name: other for name, other in ours.references.items() if other in self.sources}
        found: list[tuple[float, str, Guess]] = []
        for name, other in known.items():
            rivals = [one for one, its in known.items() if its == other]
            keys = [key for key in of.foreign_keys if self._leads(key, other)]
            for key in keys:
                alike = max(self.words.column(ours.name, name, one, of=of.name)[0] for one in key.columns)
                sure = 0.95 if len(keys) == len(rivals) == 1 else 0.5 + 0.45 * alike if alike else 0.0
                found.append((sure, name, self._followed(key, other, sure)))
            away = {column for key in of.foreign_keys for column in key.columns}
            home = self.theirs[self.sources[other]]
            for column, kind in of.columns.items():
                sure, why = self.words.column(ours.name, name, column, of=of.name)
                alike = [group(kind)] == [group(home.columns[one]) for one in self._key(home)]
                if alike and (column,) == self._key(home) and letters(column) not in _USUAL and home is not of:
                    sure, why = max((sure, why), (0.9, f"named like the key of {home.name}"))
                if alike and column not in away and column not in of.key:
                    found.append((sure * 0.95, name, Guess(column=column, sure=sure * 0.95, why=why, uses=(column,))))
            is_own = made.is_part and self.sources[other] == of.name and len(made.key) == 1
            if is_own and (ours.columns[name].not_null or len(rivals) == 1):
                guess = Guess(column=made.key[0], sure=0.9, why="stands in the same row", uses=made.key)
                found.append((guess.sure, name, guess))
        shared = [one for one in of.columns if sum(one in key.columns for key in of.foreign_keys) > 1]
        self._take(made, found, often=(*made.key, *shared))
        for name, other in known.items():
            if name not in made.columns and ours.columns[name].not_null and (onward := self._two_on(of, other)):
                made.columns[name] = onward

    def _leads(self, key: ForeignKey, ours: str) -> bool:
        """Whether a foreign key of theirs leads to the source of a table of ours, or to what that shows."""
        home = self.sources[ours]
        is_whole = len(key.columns) == 1 or set(key.table_columns) == set(self._key(self.theirs[home]))
        return is_whole and (key.table == home or key.table in self.shown.get(home, ()))

    def _followed(self, key: ForeignKey, ours: str, sure: float) -> Guess:
        column, why = key.columns[0], f"a foreign key to {key.table}"
        home = self._key(self.theirs[self.sources[ours]])
        if len(home) > 1:
            columns = [key.columns[key.table_columns.index(one)] for one in home]
            query = " || '|' || ".join(map(self.source.identifier, columns))
            return Guess(sql=query, sure=sure, why=why, uses=key.columns)
        if key.table_columns == home or key.table not in self.theirs:
            return Guess(column=column, sure=sure, why=why, uses=(column,))
        query = self.source.written(
            "(SELECT k.{home} FROM {table} AS k WHERE k.{other} = s.{column})",
            home=home[0], table=key.table, other=key.table_columns[0], column=column,
        )  # fmt: skip
        return Guess(sql=query, sure=sure, why=f"{why} by {key.table_columns[0]}", uses=(column,))

    def _two_on(self, of: SourceTable, ours: str) -> Guess | None:
        """By the row that a foreign key leads to, whose own leads to the wanted one."""
        for key in of.foreign_keys:
            middle = self.theirs.get(key.table)
            for onward in middle.foreign_keys if middle and len(key.columns) == 1 else ():
                if self._leads(onward, ours) and onward.table in self.theirs:
                    query = self.source.written(
                        "(SELECT k.{home} FROM {middle} AS m JOIN {table} AS k ON k.{other} = m.{link} "
                        "WHERE m.{its} = s.{column})",
                        home=self._key(self.theirs[self.sources[ours]])[0], middle=key.table, table=onward.table,
                        other=onward.table_columns[0], link=onward.columns[0], its=key.table_columns[0],
                        column=key.columns[0],
                    )  # fmt: skip
                    return Guess(sql=query, sure=0.8, why=f"by way of {key.table}", uses=key.columns)
        return None

    def _names(self, made: ProposedTable) -> None:
        """One name for two, or two for one."""
        ours, of, said = made.target, made.of, self.words.full_name
        both, name = (said.first, said.last), self.source.identifier
        apart = [self._best(made, column) for column in both] if set(both) <= set(ours.writable) else []
        wholes = [column for column in of.columns if self.words.holds_full_name(column, of=of.name)]
        alone = [column for column in wholes if self.words.is_bare_name(column, of=of.name)]
        if alone and any(apart) and not all(apart):
            # What is called a name beside a first name is the last one, and the other way about.
            missing = next(column for column, found in zip(both, apart, strict=True) if not found)
            made.columns[missing] = Guess(column=alone[0], sure=0.8, why="beside the other name", uses=(alone[0],))
        elif apart and not all(apart) and wholes:
            whole = name(wholes[0])
            first = f"split_part({whole}, ' ', 1)"
            rest = f"ltrim(substr({whole}, length({first}) + 1))"
            for column, query in zip(both, (first, rest), strict=True):
                made.columns[column] = Guess(sql=query, sure=0.85, why="of the whole name", uses=(wholes[0],))
        if said.whole in ours.writable and not self._best(made, said.whole):
            parts = [self._best(made, column, of_ours=False) for column in both]
            if all(parts):
                query = f"concat_ws(' ', {', '.join(map(name, parts))})"
                made.columns[said.whole] = Guess(sql=query, sure=0.85, why="both names", uses=tuple(parts))

    def _best(self, made: ProposedTable, column: str, *, of_ours: bool = True) -> str:
        """Their column whose name is likest, "" where none is."""
        found = [
            (self._named(made.target, column, made.of, other)[0] if of_ours
             else self.words.column(made.target.name, column, other, of=made.of.name)[0], other)
            for other in made.of.columns
        ]  # fmt: skip
        sure, other = max(found, default=(0.0, ""))
        return other if sure >= 0.7 else ""

    def _by_name(self, made: ProposedTable, of: SourceTable) -> None:
        ours = made.target
        away = {key.columns[0] for key in of.foreign_keys if len(key.columns) == 1}
        found: list[tuple[float, str, Guess]] = []
        for name in ours.writable:
            if name in made.columns or name in ours.references:
                continue
            for column, kind in of.columns.items():
                is_word = group(ours.columns[name].type) == "text" and self.values.leads_to_words(of, column)
                if (column in away and not is_word) or ((column,) == made.key and group(kind) != "text"):
                    continue
                sure, why, hundredths = self._compared(ours, name, of, column)
                if is_word:
                    # What the row is called that the key leads to, where that is a list of words.
                    bare = re.sub(r"_?id$", "", column, flags=re.IGNORECASE)
                    sure = max(self.words.column(ours.name, name, one, of=of.name)[0] for one in (column, bare)) * 0.95
                if sure >= LEAST_COLUMN:
                    guess = Guess(column=column, sure=sure, why=why, uses=(column,))
                    if hundredths:
                        guess = Guess(
                            sql=f"{self.source.identifier(column)} / 100.0", sure=sure, why=why, uses=(column,)
                        )
                    found.append((sure, name, guess))
        for name in self._take(
            made, found, often=[name for name, kind in of.columns.items() if group(kind) == "moment"]
        ):
            guess = made.columns[name]
            if guess.column:
                made.columns[name] = self.values.guess(ours, name, of, guess.column, sure=guess.sure, why=guess.why)

    def _compared(self, ours: Target, name: str, of: SourceTable, column: str) -> tuple[float, str, bool]:
        """How alike, why, and whether theirs counts hundredths."""
        sure, why = self._named(ours, name, of, column)
        day = re.sub(r"_time$", "_date", name)
        if day != name and day in ours.columns and group(of.columns[column]) == "moment":
            # The hour is part of the moment that holds the day.
            sure, why = max((sure, why), self._named(ours, day, of, column))
        whole = re.sub(rf"_({'|'.join(self.words.hundredths)})$", "", column)
        if whole != column:
            of_whole, _ = self.words.column(ours.name, name, whole, of=of.name)
            if of_whole * fits(of.columns[column], ours.columns[name].type, is_enum=False) > sure:
                return of_whole * 0.9, "counted in hundredths", True
        return sure, why, False

    def _take(self, made: ProposedTable, found: list[tuple[float, str, Guess]], *, often: Iterable[str]) -> list[str]:
        """The surest first; a column of theirs goes to one of ours, unless it is one that is taken ``often``."""
        taken = []
        used = made.used - set(often)
        for sure, name, guess in sorted(found, key=lambda one: (-one[0], one[1], one[2].uses)):
            if sure < LEAST_COLUMN or name in made.columns or used.intersection(guess.uses):
                continue
            if (
                guess.uses[0] in often
                and name in made.target.columns
                and not self._may_share(made, name, guess.uses[0])
            ):
                continue
            made.columns[name] = guess
            taken.append(name)
            used.update(set(guess.uses) - set(often))
        return taken

    def _may_share(self, made: ProposedTable, name: str, column: str) -> bool:
        """A moment gives a day and an hour, else one thing; a key gives itself to any reference."""
        sharing = [other for other, guess in made.columns.items() if column in guess.uses]
        if name in made.target.references or not sharing:
            return True
        kinds = [group(made.target.columns[one].type) for one in (name, *sharing)]
        return sorted(kinds) == ["date", "time"]

    def _by_contents(self, made: ProposedTable) -> None:
        """What is called like nothing of ours, and alone looks like it."""
        for name in made.target.writable:
            if name not in made.columns and name in self.words.contents:
                left = [one for one in made.of.columns if one not in made.used]
                found = [column for column in left if self.values.looks_like(made.of, column, name)]
                if len(found) == 1:
                    made.columns[name] = Guess(column=found[0], sure=0.7, why="it looks like one", uses=(found[0],))

    def _join(self, made: ProposedTable) -> None:
        """What a table of another schema, to whose row the key leads, holds for columns that have nothing yet."""
        key = next((one for one in made.of.foreign_keys if one.columns == made.key and "." in one.table), None)
        if key is None:
            return
        schema, _, other = key.table.rpartition(".")
        beside = self.source.tables(schema).get(other)
        if beside is None or not beside.readable:
            return
        before = set(made.columns)
        columns = {name: kind for name, kind in beside.columns.items() if name not in made.of.columns}
        self._by_name(made, replace(beside, columns=columns, key=(), foreign_keys=()))
        more = sorted({one for name, guess in made.columns.items() if name not in before for one in guess.uses})
        if more:
            start = f"SELECT s.*, {', '.join('b.' + self.source.identifier(column) for column in more)} "
            made.source = start + self.source.written(
                "FROM {table} AS s JOIN {schema}.{beside} AS b ON b.{its} = s.{key}",
                table=made.of.name, schema=schema, beside=other, its=key.table_columns[0], key=made.key[0],
            )  # fmt: skip

    def _only_the_part(self, made: ProposedTable) -> None:
        """Those rows of the whole whose word for the part's column means it."""
        part = self.words.parts[made.target.name]
        whole = self.made.get(part.of)
        guess = whole.columns.get(part.column) if whole else None
        if guess is None or not guess.column:
            return
        wanted = [one for one, meant in (guess.values or {part.value: part.value}).items() if meant == part.value]
        if wanted:
            written = self.source.written(
                "SELECT * FROM {table} WHERE {column}::text IN ", table=made.of.name, column=guess.column
            )
            made.source = f"{written}({listed(wanted)})"
            own = made.columns.get(part.column)
            if own and own.column == guess.column:
                made.columns[part.column] = Guess(constant=part.value, sure=0.8, why="of such rows", uses=own.uses)

    def _public_id(self, made: ProposedTable) -> Guess | None:
        """What the outside called the row: text that tells rows apart, named so."""
        best = (0.0, "", "")
        for column, kind in made.of.columns.items():
            if group(kind) == "text" and kind != "uuid" and column not in (*made.used, *made.key):
                for of in (made.of.name, made.target.name):
                    sure, why = self.words.column(made.target.name, PUBLIC_ID, column, of=of)
                    best = max(best, (sure, column, why))
                if re.search(r"(^|_)(code|ref|no|number)$", column):
                    best = max(best, (0.7, column, "named like one"))
        sure, column, why = best
        if sure >= 0.6 and self.values.tells_rows_apart(made.of, column):
            return Guess(column=column, sure=sure, why=f"{why}; no two rows have the same", uses=(column,))
        return None
