"""The demo clinic's people who sign in, what the system tells them, and what they write to each other."""

from __future__ import annotations

from moeen.db.roles import PEOPLE
from sysadmin.management.demo_clinic import Clinic
from sysadmin.models import InternalMessage, Notification, Role, Setting, User, UserPreference, UserRole

_NAMES = {
    "patient": "نورة العتيبي",
    "doctor": "د. خالد الغامدي",
    "staff": "منى الشهري",
    "supervisor": "فهد القحطاني",
    "admin": "هند الأنصاري",
}
_COLLEAGUES = ("أحمد الدوسري", "آمنة الزهراني", "يوسف الحربي", "لمى السبيعي")
_SETTINGS = (
    ("clinic.name", "عيادات معين التجريبية", "general", True, "اسم العيادة كما يراه المراجعون"),
    ("clinic.opening_hours", {"from": "09:00", "to": "20:00", "closed": ["friday"]}, "general", True, "أوقات العمل"),
    ("api.page_size", 50, "api", False, "عدد الصفوف في الصفحة"),
    ("integrations.whatsapp_enabled", True, "integrations", False, "الرد الآلي عبر واتساب"),
    ("notifications.reminder_hours", 24, "notifications", False, "ساعات التذكير قبل الموعد"),
)
_NOTICES = (
    (Notification.Type.INFO, "موعد جديد", "أضيف موعد جديد إلى جدولك."),
    (Notification.Type.SUCCESS, "تمت الموافقة", "وافقت شركة التأمين على المطالبة."),
    (Notification.Type.WARNING, "موعد قريب", "لديك موعد خلال أربع وعشرين ساعة."),
    (Notification.Type.ERROR, "تعذر الإرسال", "لم تصل رسالة التذكير إلى المراجع."),
)
_TALKS = (
    ("جدول الأسبوع القادم", "هل يمكن تحويل مواعيد يوم الأحد إلى المساء؟", "تم، وأبلغت المراجعين."),
    ("مطالبة ناقصة", "المطالبة الأخيرة ينقصها تقرير الطبيب.", "أرفقته الآن، شكرًا للتنبيه."),
    ("اجتماع الفريق", "نلتقي غدًا الساعة الثامنة والنصف.", "سأكون هناك إن شاء الله."),
)


def furnish(clinic: Clinic) -> None:
    people = [clinic.person(role, _NAMES[role], role) for role in PEOPLE]
    colleagues = [clinic.person(f"colleague{n}", name, User.Roles.STAFF) for n, name in enumerate(_COLLEAGUES, start=1)]
    colleagues[-1].is_active = False
    _two_roles(clinic)
    for key, value, category, public, description in _SETTINGS:
        clinic.add(
            Setting,
            key=key,
            value=value,
            category=category,
            is_public=public,
            description=description,
            updated_by=clinic.user("admin"),
        )
    _looks(clinic, [*people, *colleagues])
    for user in people:
        _notices(clinic, user)
    _talks(clinic, [clinic.user("supervisor"), clinic.user("staff"), clinic.user("doctor"), *colleagues])


def _two_roles(clinic: Clinic) -> None:
    """The doctor is a supervisor besides, by a system role that migrations have made."""
    role = Role.objects.using(clinic.using).get(name=User.Roles.SUPERVISOR, is_system=True)
    doctor, admin = clinic.user("doctor"), clinic.user("admin")
    clinic.add(UserRole, at=clinic.at(-90), user=doctor, role_id=role.pk, assigned_by=admin)


def _looks(clinic: Clinic, people: list[User]) -> None:
    themes, languages, layouts = (
        UserPreference.Theme.values,
        UserPreference.Language.values,
        UserPreference.DashboardLayout.values,
    )
    for n, user in enumerate(people):
        clinic.add(
            UserPreference,
            at=clinic.at(-60),
            user=user,
            theme=themes[n % len(themes)],
            language=languages[n % len(languages)],
            dashboard_layout=layouts[n % len(layouts)],
        )


def _notices(clinic: Clinic, user: User) -> None:
    for n, (kind, title, message) in enumerate(_NOTICES):
        sent = clinic.at(-6 + n, clinic.chance.randint(8, 19))
        read = clinic.maybe(0.5, sent)
        clinic.add(
            Notification,
            at=sent,
            user=user,
            type=kind,
            title=title,
            message=message,
            is_read=read is not None,
            read_at=read,
        )


def _talks(clinic: Clinic, people: list[User]) -> None:
    for n, (subject, question, answer) in enumerate(_TALKS):
        asks, answers = people[n], people[(n + 1) % len(people)]
        asked, answered = clinic.at(-5 + n, 9, 10), clinic.at(-5 + n, 11, 40)
        first = clinic.add(
            InternalMessage,
            at=asked,
            sender=asks,
            recipient=answers,
            subject=subject,
            content=question,
            is_read=True,
            read_at=answered,
        )
        clinic.add(
            InternalMessage,
            at=answered,
            sender=answers,
            recipient=asks,
            subject=subject,
            content=answer,
            parent_message=first,
        )
