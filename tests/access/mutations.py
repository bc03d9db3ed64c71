"""`make test-mutation`: is everything that keeps people apart held by the proof? Each part is broken in turn.

A mutant that the proof does not notice survives, and is listed. The proof is what `make test` asks as well: the matrix,
the functions' cases, the catalog and the advisors.
"""

import argparse
import random
import sys
import time
from collections import Counter

from tests import servers
from tests.access import mutants, roads

_OLD = "on INSERT OLD is NULL, and the other part says the same of it"
_COLLISION = "the OIDs of two catalogs would have to collide"
_OWNER = "require_bound(), which comes later, lets the owner pass as well"
_NOT_FALSE = "what is held against no jsonpath is NULL, which is not false either"
_TRAIL = "the log's own trigger refuses entries of who is not signed"
_NARROWED = "it narrows which seals are read; an entry is in one of its transaction"
_FAILED = "it is NULL where its assignment failed"
_EMPTY = "an empty text is malformed, which ends the same"
# The stage has one session, of the owner's login.
_OTHER_LOGIN = "told by test_audit's write of a login that is none of ours"
_ISOLATION = "told by test_leaks' two administrators, in transactions of their own"
#: Mutants of a body that do what the original does, function and part of what was left out -> why.
EQUIVALENT = {
    ("audit_actor()", "IF holds always [6: "): "app.user_id() is NULL where nothing is signed",
    ("audit_actor()", "part of OR left out [9: OR pg_has_role("): _OWNER,
    ("audit_actor()", "coalesce left out [9: "): _OWNER,
    ("audit_actor()", "IF holds always [14: "): _OTHER_LOGIN,
    ("audit_actor()", "WHERE holds always [15: "): _OTHER_LOGIN,
    ("audit_actor()", "part of AND left out [15: "): _OTHER_LOGIN,
    ("audit_statement()", "IF holds always [13: suspension <> '']"): "no suspension has an empty id",
    ("audit_statement()", "part of OR left out [32: rows_with_secrets IS NULL OR]"): _NOT_FALSE,
    ("audit_statement()", "part of OR left out [46: rows_with_secrets IS NULL OR]"): _NOT_FALSE,
    ("audit_statement()", "part of OR left out [69: rows_with_secrets IS NULL OR]"): _NOT_FALSE,
    ("audit_origin()", "part of AND left out [7: left("): "the names of all bound_roles() begin so",
    ("audit_origin()", "IF holds always [9: request IS NOT NULL]"): "of NULL every part is NULL",
    ("bind_request()", "nullif left out [8: "): _EMPTY,
    ("bind_request()", "statement left out [11: address := NULL]"): _FAILED,
    ("break_glass(text,text,integer)", "coalesce left out [33: "): "a CASE of NULL is its ELSE",
    (
        "break_glass(text,text,integer)",
        "coalesce left out [40: ",
    ): "NULL only while the backfill of public ids is pending",
    (
        "break_glass(text,text,integer)",
        "statement left out [8: ",
    ): "who is not signed has no user_id(), which is asked next",
    ("integration_secret(uuid)", "statement left out [5: "): _TRAIL,
    ("keep_audit_entries()", "coalesce left out [5: "): "without a seal no entry is in one",
    ("keep_audit_entries()", "part of AND left out [12: "): _NARROWED,
    ("keep_audit_entries()", "part of AND left out [13: "): _NARROWED,
    ("keep_in_sight()", "part of AND left out [6: TG_OP = 'UPDATE' AND]"): "on INSERT OLD is NULL",
    ("keep_an_administrator()", "IF holds never [3: "): _ISOLATION,
    ("keep_an_administrator()", "value left out [3: "): _ISOLATION,
    ("keep_an_administrator()", "statement left out [4: "): _ISOLATION,
    ("record_reads(jsonb)", "statement left out [7: "): _TRAIL,
    ("sign_request()", "part of AND left out [21: "): _COLLISION,
    ("sign_request()", "part of OR left out [22: OR EXISTS "): "told by the attacks: PREPARE outlives what is undone",
    # Told by the case of `neighbour`, whose session has set no claims so far; it does not see what is mutated here.
    ("is_bound(text)", "coalesce left out [14: "): "claims that were set once are never NULL again",
    ("link_sign_in(text,uuid,uuid)", "statement left out [5: "): _TRAIL,
    ("record_sign_in(text,text,uuid,text,text)", "statement left out [9: "): _TRAIL,
    (
        "record_sign_in(text,text,uuid,text,text)",
        "statement left out [34: ",
    ): "it concerns nobody, which is refused next",
    ("reveal_setting(uuid)", "statement left out [5: "): _TRAIL,
    ("lock_away(text)", "part of AND left out [18: AND d.classid = 'pg_catalog.pg_class'::regclass]"): _COLLISION,
    ("lock_away(text)", "part of AND left out [19: AND d.deptype IN ('a', 'i')]"): "sequences depend in no other way",
    (
        "sign_request()",
        "part of AND left out [12: l.locktype = 'relation' AND]",
    ): "only relations are locked in this mode",
    ("sign_request()", "part of AND left out [14: AND l.database = "): "a session holds no locks in other databases",
    ("sign_request()", "nullif left out [28: "): _EMPTY,
    ("sign_request()", "statement left out [31: person := NULL]"): _FAILED,
    ("stamp_message()", "part of AND left out [4: TG_OP = 'UPDATE' AND]"): _OLD,
    ("stamp_notification()", "part of OR left out [3: TG_OP = 'INSERT' OR]"): _OLD,
    ("stamp_notification()", "part of OR left out [8: TG_OP = 'INSERT' OR]"): _OLD,
    ("stamp_person()", "part of AND left out [3: TG_OP = 'UPDATE' AND]"): _OLD,
}


class Proof:
    """Everything that the tests ask, on a stage, the cheapest and most likely first."""

    def __init__(self, probe, stage, road):
        self.probe, self.stage, self.road = probe, stage, road

    def notices(self, mutant):
        with self.stage.undone():
            if mutant.by_superuser:
                with self.stage.as_superuser() as execute:
                    execute(mutant.statement)
            else:
                self.stage.connection.execute(mutant.statement)
            return any(self._differences(mutant))

    def clean(self):
        """What differs before anything is mutated."""
        found = self.probe.catalog_differences(self.stage.connection) + self.stage.differences()
        return found + [line for role in self.road.roles for line in self.probe.differences(self.road, role)]

    def _differences(self, mutant):
        """A list of lines from each question; the later ones are asked only where the earlier find nothing."""
        owner, road = self.stage.connection, self.road
        if mutant.kind != "function's body":
            yield self.probe.catalog_differences(owner)
        if mutant.function:
            yield self.stage.differences([mutant.function])
            yield self.stage.differences()
        if mutant.role:
            yield self.probe.differences(road, mutant.role, [mutant.table], mutant.command)
        for role in road.roles:
            yield self.probe.differences(road, role, [mutant.table] if mutant.table else None)
        # What a role sees in somebody's name alone, which the matrix has no word for.
        if not mutant.function:
            yield self.stage.differences()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="", help="only mutants whose kind begins so")
    parser.add_argument(
        "--function", action="append", default=[], help="only mutants of this function, such as is_bound(); repeatable"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, taken at random")
    options = parser.parse_args()
    server = servers.start(shape="platform")
    target = servers.target_of(server)
    servers.set_up_project(server)
    from tests.access import world
    from tests.access.stage import Stage, StageRoad

    class Database:
        connect = staticmethod(lambda: target.connect(server.database, user=server.role))

    with Database.connect() as owner:
        made = world.make(owner)
    with target.connect(server.database) as connection, Database.connect() as neighbour:
        stage = Stage(connection, made, server.role, neighbour=neighbour)
        proof = Proof(roads.Probe(Database, made), stage, StageRoad(stage))
        with connection.transaction(force_rollback=True):
            return judge(proof, options)


def reason(mutant):
    """Its key in EQUIVALENT, or None."""
    return next((key for key in EQUIVALENT if mutant.what.startswith(": ".join(key))), None)


def _stale(chosen):
    return sorted(EQUIVALENT.keys() - {reason(mutant) for mutant in chosen})


def judge(proof, options):
    owner = proof.stage.connection
    if clean := proof.clean():
        sys.exit("The proof fails before anything is mutated:\n" + "\n".join(clean))
    if missing := mutants.unmutated(owner):
        sys.exit(f"No mutant, or nothing written down in tests/access/functions.py: {', '.join(missing)}")
    chosen = [
        mutant
        for mutant in mutants.every(owner)
        if mutant.kind.startswith(options.kind) and (not options.function or mutant.function in options.function)
    ]
    if options.sample:
        chosen = random.sample(chosen, options.sample)
    if not (options.kind or options.function or options.sample) and (stale := _stale(chosen)):
        sys.exit(f"There are no such mutants any more: {stale}")
    tried, noticed, seconds = Counter(), Counter(), Counter()
    survivors, equivalent = [], []
    for mutant in chosen:
        if reason(mutant):
            equivalent.append(mutant)
            continue
        started = time.perf_counter()
        tried[mutant.kind] += 1
        if proof.notices(mutant):
            noticed[mutant.kind] += 1
        else:
            survivors.append(mutant)
            print(f"survived: {mutant.name}", file=sys.stderr, flush=True)
        seconds[mutant.kind] += time.perf_counter() - started
    for kind in tried:
        print(f"{kind:34} {noticed[kind]:5} of {tried[kind]:5} noticed {seconds[kind]:7.0f} s")
    total, killed = tried.total(), noticed.total()
    print(f"{'score':34} {killed:5} of {total:5} = {100 * killed / max(total, 1):.1f} % {seconds.total():10.0f} s")
    if equivalent:
        print(f"{len(equivalent)} more change nothing that could be noticed; tests/access/mutations.py says why")
    return 3 if survivors else 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        servers.stop_all()
    sys.exit(code)
