"""The demo clinic's leads, deals and activities."""

from __future__ import annotations

from decimal import Decimal

from crm.models import Activity, Deal, Lead
from healthcare.models import Patient
from sysadmin.management.demo_clinic import DAYS, Clinic, address
from sysadmin.models import User

LEADS, DEALS, ACTIVITIES = 36, 24, 60
_NAMES = ("بدر العنزي", "رؤى المالكي", "زياد الشمري", "غادة البلوي", "أيمن الجهني", "شهد الخالدي")
_COMPANIES = ("مدارس الأفق", "شركة البناء الحديث", "مصنع الخليج", "مؤسسة النخيل")
_TITLES = ("باقة العائلة", "فحص شامل", "عقد شركة", "تقويم الأسنان", "متابعة السكري")
_SUBJECTS = {
    Activity.Type.CALL: "اتصال للمتابعة",
    Activity.Type.EMAIL: "إرسال عرض الأسعار",
    Activity.Type.MEETING: "اجتماع مع إدارة الشركة",
    Activity.Type.TASK: "تجهيز العقد",
    Activity.Type.NOTE: "ملاحظة بعد الزيارة",
}
#: How likely a deal is at each of its stages, in percent.
_PROBABILITY = dict(zip(Deal.Stage.values, (10, 25, 50, 75, 100, 0), strict=True))
_CLOSED = (Deal.Stage.CLOSED_WON, Deal.Stage.CLOSED_LOST)


def furnish(clinic: Clinic) -> None:
    owners = [clinic.user("staff"), clinic.user("supervisor")]
    # One after the other, so that each status and stage occurs.
    for n in range(LEADS):
        _lead(clinic, n, owners[n % 2])
    for n in range(DEALS):
        _deal(clinic, n, owners[n % 2])
    for n in range(ACTIVITIES):
        _activity(clinic, n, owners[n % 2])


def _lead(clinic: Clinic, n: int, owner: User) -> None:
    clinic.add(
        Lead,
        at=clinic.at(-clinic.chance.randint(1, DAYS), 10),
        name=clinic.chance.choice(_NAMES),
        email=address(f"lead{n}"),
        phone=clinic.phone(),
        company=clinic.maybe(0.3, clinic.chance.choice(_COMPANIES)),
        source=Lead.Source.values[n % len(Lead.Source.values)],
        status=Lead.Status.values[n % len(Lead.Status.values)],
        score=clinic.chance.randint(0, 100),
        owner=owner,
    )


def _deal(clinic: Clinic, n: int, owner: User) -> None:
    stage = Deal.Stage.values[n % len(Deal.Stage.values)]
    closed = clinic.day(-clinic.chance.randint(0, 10)) if stage in _CLOSED else None
    clinic.add(
        Deal,
        at=clinic.at(-clinic.chance.randint(11, DAYS), 11),
        title=clinic.chance.choice(_TITLES),
        value=Decimal(clinic.chance.randint(5, 400) * 100),
        stage=stage,
        probability=_PROBABILITY[stage],
        expected_close_date=closed or clinic.day(clinic.chance.randint(1, DAYS)),
        actual_close_date=closed,
        owner=owner,
        contact=clinic.maybe(0.5, clinic.chance.choice(clinic.of(Patient))),
        lead=clinic.chance.choice(clinic.of(Lead)),
    )


def _activity(clinic: Clinic, n: int, owner: User) -> None:
    kind = Activity.Type.values[n % len(Activity.Type.values)]
    status = Activity.Status.values[n % len(Activity.Status.values)]
    due = clinic.chance.randint(1, DAYS) * (1 if status == Activity.Status.PENDING else -1)
    clinic.add(
        Activity,
        at=clinic.at(-DAYS - 1, 9),
        type=kind,
        subject=_SUBJECTS[Activity.Type(kind)],
        due_date=clinic.day(due),
        status=status,
        priority=clinic.chance.choice(Activity.Priority.values),
        owner=owner,
        deal=clinic.maybe(0.6, clinic.chance.choice(clinic.of(Deal))),
        contact=clinic.maybe(0.4, clinic.chance.choice(clinic.of(Patient))),
        completed_at=clinic.at(due, 15) if status == Activity.Status.COMPLETED else None,
    )
