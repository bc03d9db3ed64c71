"""The demo clinic's patients, doctors, appointments, sessions and insurance claims."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

from healthcare.models import Appointment, Doctor, InsuranceClaim, Patient, Session
from sysadmin.management.demo_clinic import DAYS, Clinic, address

PATIENTS = 140
#: Of the patients besides the one who is shown, so many have a sign-in.
_WITH_SIGN_IN = 8
_MEN = (
    "محمد", "أحمد", "عبدالله", "إبراهيم", "خالد", "فهد", "سلطان", "يوسف", "عمر", "علي", "ماجد", "ناصر", "تركي", "سعود",
    "بندر", "يحيى", "أيمن", "زياد",
)  # fmt: skip
_WOMEN = (
    "فاطمة", "نورة", "سارة", "آمنة", "هدى", "ريم", "لمى", "منى", "هيفاء", "شهد", "مها", "جواهر", "أمل", "لطيفة",
    "عائشة", "رؤى", "إيمان", "غادة",
)  # fmt: skip
_FAMILIES = (
    "العتيبي", "القحطاني", "الحربي", "الغامدي", "الزهراني", "الشهري", "الدوسري", "المطيري", "السبيعي", "الأحمد",
    "الخالدي", "الشمري", "البلوي", "العمري", "الجهني", "الأنصاري", "العنزي", "المالكي",
)  # fmt: skip
_QUARTERS = ("حي الياسمين", "حي النرجس", "حي الملقا", "حي العليا", "حي الروضة", "حي السويدي", "حي قرطبة")
_HISTORIES = ("ارتفاع ضغط الدم منذ خمس سنوات", "داء السكري من النوع الثاني", "ربو منذ الطفولة", "استئصال الزائدة")
_ALLERGIES = ("البنسلين", "الأسبرين", "المكسرات", "غبار الطلع")
#: First name, family, specialization, fee in riyals, and what they find and decide.
_DOCTORS: tuple[tuple[str, str, str, int, tuple[tuple[str, str], ...]], ...] = (
    ("خالد", "الغامدي", "طب الأسرة", 200, (
        ("التهاب الحلق الحاد", "مضاد حيوي لسبعة أيام وسوائل دافئة"),
        ("ارتفاع ضغط الدم", "تعديل الجرعة ومتابعة بعد أسبوعين"))),
    ("سارة", "القحطاني", "طب الأطفال", 250, (
        ("نزلة معوية", "محاليل الجفاف ومراجعة عند اللزوم"),
        ("التهاب الأذن الوسطى", "مضاد حيوي ومسكن للألم"))),
    ("عمر", "الأنصاري", "الجلدية", 300, (
        ("إكزيما تأتبية", "مرطب وكريم موضعي لأسبوعين"), ("حب الشباب", "علاج موضعي ومتابعة بعد شهر"))),
    ("هدى", "الزهراني", "النساء والولادة", 350, (
        ("متابعة حمل في الأسبوع العشرين", "فحص دم ومتابعة بعد أربعة أسابيع"),
        ("فقر دم بسبب نقص الحديد", "مكملات الحديد لثلاثة أشهر"))),
    ("ماجد", "الشهري", "العظام", 300, (
        ("آلام أسفل الظهر", "علاج طبيعي ست جلسات"), ("التواء الكاحل", "رباط ضاغط وراحة أسبوعين"))),
    ("ريم", "الحربي", "الأسنان", 150, (
        ("تسوس", "حشوة تجميلية"), ("التهاب اللثة", "تنظيف وغسول يومي"))),
    ("يحيى", "العمري", "الباطنة", 280, (
        ("داء السكري من النوع الثاني", "تحليل السكر التراكمي وتعديل الجرعة"), ("ارتجاع المريء", "حمية وعلاج لشهر"))),
    ("لطيفة", "المالكي", "العيون", 260, (("قصر النظر", "نظارة طبية"), ("جفاف العين", "قطرات مرطبة"))),
)  # fmt: skip
_INSURERS = ("شركة الأمان للتأمين", "شركة الرعاية للتأمين التعاوني", "شركة الشفاء للتأمين")
#: Half hours at which somebody may come: mornings and evenings.
_SLOTS = [time(hour, minute) for hour in (9, 10, 11, 16, 17, 18, 19) for minute in (0, 30)]
_FRIDAY = 4


def furnish(clinic: Clinic) -> None:
    _doctors(clinic)
    for n in range(PATIENTS):
        _patient(clinic, n)
    for day in range(-DAYS, DAYS + 1):
        if day == 0 or clinic.day(day).weekday() != _FRIDAY:
            _one_day(clinic, day)
    _walk_ins(clinic)
    for appointment in clinic.of(Appointment):
        if appointment.status == Appointment.Status.COMPLETED and clinic.chance.random() < 0.4:
            _claim(clinic, appointment)


def _doctors(clinic: Clinic) -> None:
    """The first is who signs in as a doctor, the last one has left."""
    for n, (first, family, specialization, fee, _) in enumerate(_DOCTORS, start=1):
        is_shown = n == 1
        user = clinic.user("doctor") if is_shown else clinic.person(f"doctor{n}", f"د. {first} {family}", "doctor")
        clinic.add(
            Doctor,
            at=clinic.at(-250),
            user=user,
            first_name=first,
            last_name=family,
            specialization=specialization,
            license_number=f"SCFHS-{clinic.chance.randint(100000, 999999)}",
            phone=clinic.phone(),
            email=user.email,
            consultation_fee=Decimal(fee),
            is_active=n < len(_DOCTORS),
        )


def _patient(clinic: Clinic, n: int) -> None:
    """The first is who signs in as a patient."""
    chance = clinic.chance
    is_woman = n == 0 or chance.random() < 0.55
    first = "نورة" if n == 0 else chance.choice(_WOMEN if is_woman else _MEN)
    family = "العتيبي" if n == 0 else chance.choice(_FAMILIES)
    user = clinic.user("patient") if n == 0 else None
    if 0 < n <= _WITH_SIGN_IN:
        user = clinic.person(f"patient{n}", f"{first} {family}", "patient")
    clinic.add(
        Patient,
        at=clinic.at(-chance.randint(DAYS + 1, 240)),
        user=user,
        first_name=first,
        last_name=family,
        email=user.email if user else clinic.maybe(0.6, address(f"person{n}")),
        phone=clinic.phone(),
        date_of_birth=date(1945, 1, 1) + timedelta(days=chance.randint(0, 28000)),
        gender="أنثى" if is_woman else "ذكر",
        address=f"{chance.choice(_QUARTERS)}، الرياض",
        emergency_contact_name=f"{chance.choice(_MEN)} {family}",
        emergency_contact_phone=clinic.phone(),
        medical_history=clinic.maybe(0.4, chance.choice(_HISTORIES)),
        allergies=clinic.maybe(0.25, chance.choice(_ALLERGIES)),
    )


def _one_day(clinic: Clinic, day: int) -> None:
    patients = clinic.of(Patient)
    for doctor in clinic.of(Doctor):
        if not doctor.is_active:
            continue
        for slot in sorted(clinic.chance.sample(_SLOTS, clinic.chance.randint(2, 5))):
            # Whoever is shown comes now and then to the doctor who is shown.
            is_shown = doctor.user == clinic.user("doctor") and clinic.chance.random() < 0.1
            _appointment(clinic, patients[0] if is_shown else clinic.chance.choice(patients), doctor, day, slot)


def _appointment(clinic: Clinic, patient: Patient, doctor: Doctor, day: int, slot: time) -> None:
    made = clinic.at(min(day, 0) - clinic.chance.randint(1, 10), clinic.chance.randint(9, 19))
    appointment = clinic.add(
        Appointment,
        at=made,
        patient=patient,
        doctor=doctor,
        appointment_date=clinic.day(day),
        appointment_time=slot,
        duration=clinic.chance.choice((15, 30, 30, 45)),
        status=_status(clinic, day),
        notes=clinic.maybe(0.1, "يرجى الحضور قبل الموعد بربع ساعة"),
    )
    if appointment.status == Appointment.Status.COMPLETED:
        _session(clinic, appointment, Session.Status.COMPLETED)
    elif appointment.status == Appointment.Status.CANCELLED and clinic.chance.random() < 0.2:
        _session(clinic, appointment, Session.Status.CANCELLED)
    elif day > 0 and appointment.status == Appointment.Status.CONFIRMED and clinic.chance.random() < 0.2:
        _session(clinic, appointment, Session.Status.SCHEDULED)


def _status(clinic: Clinic, day: int) -> str:
    """What has come of an appointment by now, or is known of a coming one."""
    status = Appointment.Status
    weights = (
        {status.COMPLETED: 80, status.NO_SHOW: 9, status.CANCELLED: 11}
        if day < 0
        else {status.CONFIRMED: 5, status.SCHEDULED: 4, status.CANCELLED: 1}
    )
    return clinic.chance.choices(list(weights), list(weights.values()))[0]


def _session(clinic: Clinic, appointment: Appointment, status: str) -> None:
    seen = status == Session.Status.COMPLETED
    diagnosis, plan = _finding(clinic, appointment.doctor) if seen else (None, None)
    clinic.add(
        Session,
        at=appointment.created_at,
        appointment=appointment,
        patient=appointment.patient,
        doctor=appointment.doctor,
        session_date=appointment.appointment_date,
        session_time=appointment.appointment_time,
        duration=appointment.duration,
        status=status,
        diagnosis=diagnosis,
        treatment_plan=plan,
        notes=clinic.maybe(0.2, "حالة مستقرة") if seen else None,
    )


def _finding(clinic: Clinic, doctor: Doctor) -> tuple[str, str]:
    known = next(findings for _, _, specialization, _, findings in _DOCTORS if specialization == doctor.specialization)
    return clinic.chance.choice(known)


def _walk_ins(clinic: Clinic) -> None:
    """Who sits with a doctor today without an appointment."""
    for doctor in clinic.of(Doctor)[:2]:
        clinic.add(
            Session,
            patient=clinic.chance.choice(clinic.of(Patient)),
            doctor=doctor,
            session_date=clinic.today,
            session_time=time(9, 15),
            status=Session.Status.IN_PROGRESS,
        )


def _claim(clinic: Clinic, appointment: Appointment) -> None:
    status, amount = _decision(clinic, appointment), appointment.doctor.consultation_fee or Decimal(0)
    share = 0 if status == InsuranceClaim.Status.REJECTED else clinic.chance.choice((80, 90, 100))
    submitted = appointment.appointment_date + timedelta(days=1)
    decided = status != InsuranceClaim.Status.PENDING
    clinic.add(
        InsuranceClaim,
        at=appointment.created_at,
        patient=appointment.patient,
        appointment=appointment,
        claim_number=f"CLM-{len(clinic.of(InsuranceClaim)) + 1:06}",
        insurance_provider=clinic.chance.choice(_INSURERS),
        claim_amount=amount,
        approved_amount=amount * share / 100 if decided else None,
        status=status,
        submitted_date=submitted,
        processed_date=submitted + timedelta(days=4) if decided else None,
        notes=clinic.maybe(0.1, "أرفق تقرير الطبيب"),
    )


def _decision(clinic: Clinic, appointment: Appointment) -> str:
    """Those of the last days wait; of the older ones most are paid."""
    status = InsuranceClaim.Status
    if (clinic.today - appointment.appointment_date).days < 7:
        return status.PENDING
    return clinic.chance.choices([status.PAID, status.APPROVED, status.REJECTED], [6, 3, 1])[0]
