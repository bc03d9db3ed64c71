"""The operations room: how the installation stands, on one page that refreshes itself.

It is served over a login that owns nothing. What an operator's commands found is shown with the time they looked; what
this login may not see is said to be not known to it, and never to be in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, router, transaction
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from moeen.db import backfill, requests
from moeen.db.backups import retention, store
from moeen.db.backups.origin import LATEST, Origin
from moeen.db.backups.retention import Entry
from moeen.db.errors import MoeenError
from moeen.db.history import reports
from moeen.db.seals.age import OVERDUE
from sysadmin.admin import backfills, kinds, refusals
from sysadmin.admin.base import ModelAdmin, is_key
from sysadmin.models import AuditSeal, BackfillRun, MigrationRun, MigrationStep, OperatorReport, OperatorRequest

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "fail", "unknown"
STATES: dict[str, Any] = {
    OK: _("In order"),
    WARN: _("To be looked at"),
    FAIL: _("To be mended"),
    UNKNOWN: _("Not known to this login"),
}
#: What doctor's lines are called -> as people read it.
LINES: dict[str, Any] = {
    "connection": _("connection"), "version": _("version"), "role": _("database role"), "identity": _("identities"),
    "web": _("web's login"), "TLS": _("encryption"), "disk": _("disk"), "migrations": _("migrations"),
    "backfills": _("backfills"), "validation": _("validation"), "audit seals": _("audit seals"),
    "other tools": _("other tools"), "backups": _("backups"), "archive": _("recovery point"), "alarm": _("alarm"),
    "settings": _("settings"), "REST": _("REST road"),
}  # fmt: skip
SEVERITIES: dict[str, Any] = {
    "breaks": _("breaks something"), "unsafe": _("unsafe"), "slow": _("slow"), "cosmetic": _("cosmetic"),
}  # fmt: skip
#: A report that is older says how it was, not how it is.
STALE = timedelta(hours=26)
#: The newest backups that are looked at, and shown as bars.
BACKUPS = 30
RUNS = 8
#: A request that has waited longer has nobody to take it up.
PATIENCE = timedelta(minutes=2)
WORKER = "manage.py work"
#: What begins a backfill, and goes on with one that was stopped.
_STARTS = {"public_ids": requests.BACKFILL}


@dataclass(frozen=True)
class Fact:
    """One thing, its state, what is said of it, and the next command."""

    name: Any
    state: str
    says: Any
    next_step: str = ""

    @property
    def label(self) -> Any:
        return STATES[self.state]


@dataclass(frozen=True)
class Bar:
    """A backup in the chart, in units of its 300 by 60."""

    x: float
    y: float
    width: float
    height: float
    state: str
    title: str


@admin.register(OperatorReport)
class OperationsAdmin(ModelAdmin):
    """In place of a list, the room. Whoever sees the reports may enter it."""

    ordering = ("kind",)

    def get_urls(self) -> list[Any]:
        views = (("backfill", "pause", self.pause_view), ("ask", "ask", self.ask_view))
        own = [
            path(f"{word}/", self.admin_site.admin_view(require_POST(view)), name=f"sysadmin_operatorreport_{name}")
            for word, name, view in views
        ]
        return [*own, *super().get_urls()]

    def all_record_fields(self) -> tuple[str, ...]:
        return ("shown_id",)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        kept = {report.kind: report for report in OperatorReport.objects.all() if _is_readable(report)}
        ledger: Any = self.admin_site._registry[MigrationRun]
        runs = list(ledger.get_queryset(request).prefetch_related(None).order_by("-started_at")[:RUNS])
        words = {
            "title": capfirst(self.opts.verbose_name_plural),
            "opts": self.opts,
            "facts": _facts(kept.get(reports.DOCTOR), runs),
            "doctor": kept.get(reports.DOCTOR),
            "validation": _validation(kept.get(reports.VALIDATION), runs),
            "migrations": _migrations(kept.get(reports.REHEARSAL)),
            "runs": [(run, ledger.shown_outcome(run)) for run in runs],
            "backfills": _backfills(request),
            "may_pause": request.user.has_perm("sysadmin.change_backfillrun"),
            "may_ask": request.user.has_perm("sysadmin.add_operatorrequest"),
            "may_withdraw": request.user.has_perm("sysadmin.delete_operatorrequest"),
            "backups": _backups(),
            **_requests(request),
            "seals": _seals(),
            "now": timezone.now(),
        }
        return TemplateResponse(
            request, "admin/sysadmin/operatorreport/room.html", self.admin_site.each_context(request) | words
        )

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        """One backfill is to wait, or to go on."""
        page: Any = self.admin_site._registry[BackfillRun]
        if not page.has_pause_permission(request):
            raise PermissionDenied
        run, paused = request.POST.get("run", ""), request.POST.get("pause") == "yes"
        page.tell(request, BackfillRun.objects.filter(pk__in=[run] if is_key(run) else []), paused=paused)
        return HttpResponseRedirect(reverse("admin:sysadmin_operatorreport_changelist"))

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """Something is asked of an operator's worker, or a request that nobody has taken up yet is withdrawn."""
        withdrawn, verb = request.POST.get("withdraw", ""), "delete" if "withdraw" in request.POST else "add"
        if not request.user.has_perm(f"sysadmin.{verb}_operatorrequest"):
            raise PermissionDenied
        if verb == "add":
            self._ask(request, request.POST.get("kind", ""), request.POST.get("subject", ""))
        elif is_key(withdrawn) and OperatorRequest.objects.filter(pk=withdrawn, taken_at=None).delete()[0]:
            self.message_user(request, _("The request is withdrawn."), messages.SUCCESS)
        else:
            self.message_user(request, _("It was taken up already."), messages.WARNING)
        return HttpResponseRedirect(reverse("admin:sysadmin_operatorreport_changelist"))

    def _ask(self, request: HttpRequest, kind: str, subject: str) -> None:
        """Written column by column: no others are granted. What cannot be asked for, the table's own checks tell."""
        words = [kind.replace("\0", ""), subject.replace("\0", "")]
        try:
            with transaction.atomic(), connections[router.db_for_write(OperatorRequest)].cursor() as cursor:
                cursor.execute(
                    "INSERT INTO operator_requests (kind, subject, asked_by) VALUES (%s, %s, app.user_id())", words
                )
        except DatabaseError as error:
            said = refusals.told(error, OperatorRequest)
            if said is None:
                raise
            self.message_user(request, said, messages.ERROR)
        else:
            self.message_user(request, _("The request stands under Requests."), messages.SUCCESS)


def _named(asked: OperatorRequest) -> str:
    """What is asked for, in the reader's words."""
    if asked.kind != requests.VERIFY:
        return f"{asked.get_kind_display()}: {kinds.table(asked.subject)}"
    return f"{asked.get_kind_display()}: {gettext('the newest') if asked.subject == LATEST else asked.subject}"


def _requests(request: HttpRequest) -> dict[str, Any]:
    """What is asked for and what was; whether anybody is there to do it, and the tables whose backfill can be begun."""
    if not request.user.has_perm("sysadmin.view_operatorrequest"):  # its migration is pending, for one
        return {"worker": Fact(_("worker"), UNKNOWN, ""), "requests": [], "startable": []}
    (served, values), (pending, more) = requests.lives(), backfill.pending()
    # One question: the page refreshes itself.
    query = f"""
        SELECT now.served, now.pending, now.waits_since, u.name,
               r.id, r.kind, r.subject, r.asked_at, r.taken_at, r.finished_at, r.outcome, r.says
        FROM (SELECT {served} AS served, ARRAY({pending}) AS pending,
                     (SELECT min(asked_at) FROM operator_requests
                      WHERE taken_at IS NULL AND finished_at IS NULL AND kind = ANY (%s)) AS waits_since) AS now
        LEFT JOIN LATERAL (SELECT * FROM operator_requests AS o
                           ORDER BY o.finished_at IS NOT NULL, o.asked_at DESC LIMIT %s) AS r ON true
        LEFT JOIN users AS u ON u.id = r.asked_by
        ORDER BY r.finished_at IS NOT NULL, r.asked_at DESC"""  # noqa: S608
    with connections[router.db_for_read(OperatorRequest)].cursor() as cursor:
        cursor.execute(query, [*values, *more, list(requests.WORK), RUNS])
        rows = cursor.fetchall()
        names = [column.name for column in cursor.description[4:]]
    asked = [(row[3], OperatorRequest(**dict(zip(names, row[4:], strict=True)))) for row in rows if row[4] is not None]
    since = rows[0][2]
    if rows[0][0]:
        fact = Fact(_("worker"), OK, _("one is there and takes up what is asked for"))
    elif since is not None and timezone.now() - since > PATIENCE:
        fact = Fact(_("worker"), FAIL, _("none is there, and requests wait"), WORKER)
    else:
        fact = Fact(_("worker"), WARN, _("none is there now; what is asked for waits until one is"), WORKER)
    return {
        "worker": fact,
        "requests": [_shown(name, one) for name, one in asked],
        "startable": [(table, kinds.table(table)) for table in rows[0][1]],
    }


def _waits(asked: OperatorRequest) -> bool:
    return asked.taken_at is None and asked.finished_at is None


def _shown(name: str | None, asked: OperatorRequest) -> dict[str, Any]:
    state = {requests.DONE: OK, requests.REFUSED: WARN, requests.FAILED: FAIL}.get(asked.outcome, UNKNOWN)
    says = asked.get_outcome_display() or (_("It waits") if _waits(asked) else _("Under way"))
    return {
        "request": asked,
        "by": name,
        "what": _named(asked),
        "state": state,
        "outcome": says,
        "note": kinds.english(asked.says) if asked.says else "",
        "waits": _waits(asked),
    }


def _is_readable(report: OperatorReport) -> bool:
    """Whether it has what this version shows; one that another version wrote is as good as none."""
    wanted = {
        reports.DOCTOR: {"lines"},
        reports.VALIDATION: {"counts", "findings", "verdict"},
        reports.REHEARSAL: {"migrations", "says", "obstacles"},
    }[report.kind]
    return isinstance(report.report, dict) and wanted <= report.report.keys()


def _is_stale(report: OperatorReport, runs: list[MigrationRun]) -> bool:
    """Whether it is old, or migrate was at work since."""
    moved = max((run.finished_at or run.started_at for run in runs), default=None)
    return timezone.now() - report.looked_at > STALE or (moved is not None and moved > report.looked_at)


def _facts(report: OperatorReport | None, runs: list[MigrationRun]) -> list[Fact]:
    """Doctor's lines; of an old report, nothing is in order any more."""
    if report is None:
        return [Fact(_("installation"), UNKNOWN, _("nobody has looked yet"), "manage.py doctor")]
    stale = _is_stale(report, runs)
    found = []
    for line in report.report["lines"]:
        state = UNKNOWN if stale and line["state"] == OK else line["state"]
        found.append(Fact(LINES.get(line["name"], line["name"]), state, kinds.english(line["says"]), line["next_step"]))
    if stale:
        found.insert(0, Fact(_("installation"), WARN, _("these findings are old"), "manage.py doctor"))
    return found


def _validation(report: OperatorReport | None, runs: list[MigrationRun]) -> dict[str, Any]:
    if report is None:
        return {"fact": Fact(_("validation"), UNKNOWN, _("nobody has looked yet"), "manage.py validate_schema")}
    counts, findings = report.report["counts"], report.report["findings"]
    worst = next((name for name in SEVERITIES if counts.get(name)), "")
    state = FAIL if worst in ("breaks", "unsafe") else WARN if worst else OK
    if _is_stale(report, runs):
        state = UNKNOWN if state == OK else state
    next_step = "" if state == OK else "manage.py validate_schema"
    fact = Fact(_("validation"), state, kinds.english(report.report["verdict"]), next_step)
    groups = [
        (SEVERITIES[name], counts[name], [finding for finding in findings if finding["severity"] == name])
        for name in SEVERITIES
        if counts.get(name)
    ]
    return {"fact": fact, "report": report, "groups": groups}


def _migrations(rehearsal: OperatorReport | None) -> list[Fact]:
    """What the ledger has of the migrations that this process brings; how a run of the pending ones went on a twin."""
    steps = MigrationStep.objects.exclude(outcome="failed").order_by("app", "name", "-started_at")
    last = steps.distinct("app", "name").values_list("app", "name", "outcome")
    outcomes = {(app, name): outcome for app, name, outcome in last}
    applied = {key for key, outcome in outcomes.items() if outcome != "unapplied"}
    missing = sorted(MigrationLoader(None, ignore_no_migrations=True).disk_migrations.keys() - applied)
    newest = {app: max(name for each, name in applied if each == app) for app, _name in applied}
    pending = [f"{app}.{name}" for app, name in missing if (app, name) in outcomes or name > newest.get(app, "")]
    if pending:
        says = gettext("%(count)d pending") % {"count": len(pending)}
        names = format_html('{}: <bdi dir="ltr">{}</bdi>', says, ", ".join(pending[:5]))
        return [Fact(_("migrations"), FAIL, names, "manage.py migrate"), _rehearsed(pending, rehearsal)]
    if missing:
        words = {"count": len(missing), "first": ".".join(missing[0])}
        says = gettext("%(count)d are older than the ledger, first %(first)s") % words
        return [Fact(_("migrations"), UNKNOWN, says, "manage.py doctor")]
    return [Fact(_("migrations"), OK, gettext("%(count)d applied, none pending") % {"count": len(applied)})]


def _rehearsed(pending: list[str], report: OperatorReport | None) -> Fact:
    """Of all that is pending: a run of less says nothing about the rest."""
    if report is None or not set(pending) <= set(report.report["migrations"]):
        return Fact(_("rehearsal"), UNKNOWN, _("what is pending was not rehearsed yet"), "manage.py migrate --plan")
    words = [report.report["says"], *report.report["obstacles"][:5]]
    said = format_html("{}: {}", localize(localtime(report.looked_at)), kinds.english("\n".join(words)))
    if timezone.now() - report.looked_at > STALE:
        return Fact(_("rehearsal"), FAIL if not report.ok else UNKNOWN, said, "manage.py migrate --plan")
    return Fact(_("rehearsal"), OK if report.ok else FAIL, said)


def _backfills(request: HttpRequest) -> list[dict[str, Any]]:
    """The unfinished ones, and the last that were finished."""
    page: Any = admin.site._registry[BackfillRun]
    newest = page.get_queryset(request).order_by("-started_at")[:RUNS]
    found = sorted(newest, key=lambda run: run.finished_at is not None)
    return [
        {
            "run": run,
            "status": page.shown_status(run),
            "state": backfills.state(run),
            "progress": page.progress(run),
            "rate": page.shown_rate(run),
            "left": backfills.left(run),
            "note": kinds.note(run.note) if run.note else "",
            "table": kinds.table(run.table_name),
            # Of one that nobody works on: what begins it again.
            "start": "" if run.finished_at or run.lives else _STARTS.get(run.name, ""),
        }
        for run in found
    ]


def _backups() -> dict[str, Any]:
    """As far as this process sees where they lie; a machine that serves need not."""
    here = Origin.of_wrapper(connections[router.db_for_read(OperatorReport)])
    try:
        every = list(islice(retention.newest_first(store.of()), BACKUPS))
        found = [entry for entry in every if entry.damage or entry.origin.same(here)]
    except (MoeenError, OSError) as error:
        found, why = [], gettext("the place of backups cannot be read: %s") % type(error).__name__
    else:
        why = gettext("this process sees no backup of this database")
    if not found:
        return {"fact": Fact(_("backups"), UNKNOWN, why, "manage.py list_backups"), "bars": []}
    worries = retention.warnings(found, here, max_age=timedelta(hours=settings.BACKUP_MAX_AGE))
    whole = [entry for entry in found if not entry.damage]
    failed = any(entry.damage or entry.verified_ok is False for entry in found[:1])
    state = FAIL if failed else WARN if worries else OK
    counted = ngettext("%(count)d backup", "%(count)d backups", len(found)) % {"count": len(found)}
    says = kinds.english(worries[0]) if worries else counted
    return {
        "fact": Fact(_("backups"), state, says, "manage.py list_backups" if worries else ""),
        "newest": whole[0] if whole else None,
        "bars": _bars(list(reversed(whole))),
    }


def _bars(found: list[Entry]) -> list[Bar]:
    """Sizes over time, oldest first; the colour says whether it was proven by a restore."""
    largest = max((entry.bytes for entry in found), default=0) or 1
    width = 300 / max(len(found), 10)
    bars = []
    for number, entry in enumerate(found):
        height = max(56 * entry.bytes / largest, 2)
        state = {True: OK, False: FAIL, None: WARN}[entry.verified_ok]
        title = f"{entry.id}: {entry.bytes / 1e6:,.1f} MB"
        x, y = round(number * width, 1), round(60 - height, 1)
        bars.append(Bar(x, y, round(width * 0.8, 1), round(height, 1), state, title))
    return bars


def _seals() -> list[Fact]:
    """When the log was last sealed; whether it still is what was sealed is for an operator to find out."""
    newest = AuditSeal.objects.order_by("-number").only("number", "sealed_at", "total").first()
    if newest is None:
        return [Fact(_("last seal"), WARN, _("nothing is sealed yet"), "manage.py seal_audit_log")]
    ago = timezone.now() - newest.sealed_at
    words = {"number": newest.number, "at": localize(localtime(newest.sealed_at)), "total": f"{newest.total:,}"}
    says = gettext("number %(number)s of %(at)s, %(total)s entries so far") % words
    old = ago > OVERDUE
    return [
        Fact(_("last seal"), WARN if old else OK, says, "manage.py seal_audit_log" if old else ""),
        Fact(_("the log as it was sealed"), UNKNOWN, "", "manage.py verify_audit_log"),
    ]
