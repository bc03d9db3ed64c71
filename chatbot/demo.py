"""The demo clinic's bot: what it is connected to, what it says and when, and what people wrote to it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from chatbot.models import Conversation, Edge, Flow, Integration, Message, Node, Template
from chatbot.models.integrations import Channel
from healthcare.models import Patient
from sysadmin.management.demo_clinic import DAYS, Clinic

CONVERSATIONS = 90
_INTEGRATIONS = (
    (Channel.WHATSAPP, "واتساب العيادة", Integration.Status.ACTIVE, Integration.HealthStatus.HEALTHY),
    (Channel.WEB, "محادثة الموقع", Integration.Status.ACTIVE, Integration.HealthStatus.HEALTHY),
    (Channel.TELEGRAM, "تيليجرام", Integration.Status.INACTIVE, Integration.HealthStatus.UNKNOWN),
    (Channel.FACEBOOK, "صفحة فيسبوك", Integration.Status.ERROR, Integration.HealthStatus.UNHEALTHY),
)
_FLOWS = (
    ("حجز موعد", "يسأل عن التخصص واليوم ثم يحجز", Flow.Status.PUBLISHED),
    ("استبيان الرضا", "يرسل بعد الزيارة بيوم", Flow.Status.DRAFT),
    ("عروض رمضان", "انتهت مدتها", Flow.Status.ARCHIVED),
)
_STEPS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (Node.NodeType.START, "البداية", {}),
    (Node.NodeType.MESSAGE, "الترحيب", {"text": "أهلًا بك، كيف نخدمك؟"}),
    (Node.NodeType.CONDITION, "مراجع معروف؟", {"field": "patient_id", "is": "known"}),
    (Node.NodeType.ACTION, "إنشاء الطلب", {"action": "create_request"}),
    (Node.NodeType.END, "النهاية", {}),
)
_TEMPLATES: tuple[tuple[str, str, str, str, list[str], bool], ...] = (
    ("ترحيب", Template.Category.GREETING, "ar", "أهلًا {name}، معك المساعد الآلي للعيادة.", ["name"], True),
    ("تذكير بالموعد", Template.Category.APPOINTMENT, "ar", "موعدك مع {doctor} يوم {day}.", ["doctor", "day"], True),
    ("أوقات العمل", Template.Category.INFORMATION, "ar", "نعمل من التاسعة صباحًا إلى الثامنة مساءً.", [], True),
    ("Working hours", Template.Category.INFORMATION, "en", "We are open from 9 am to 8 pm.", [], True),
    ("تحويل إلى موظف", Template.Category.SUPPORT, "ar", "سيرد عليك أحد الموظفين قريبًا.", [], False),
)
_TALK = (
    ("user", "text", "السلام عليكم، أريد حجز موعد"),
    ("bot", "text", "وعليكم السلام، في أي تخصص؟"),
    ("bot", "button", "طب الأسرة | الأطفال | الأسنان"),
    ("user", "text", "طب الأسرة"),
    ("bot", "text", "متاح غدًا الساعة الخامسة مساءً، هل يناسبك؟"),
    ("user", "image", "صورة بطاقة التأمين"),
    ("bot", "file", "تعليمات قبل الزيارة"),
    ("system", "text", "حوّلت المحادثة إلى موظف الاستقبال"),
)


def furnish(clinic: Clinic) -> None:
    for provider, name, status, health in _INTEGRATIONS:
        clinic.add(
            Integration,
            at=clinic.at(-180),
            provider=provider,
            name=name,
            config={"language": "ar"},
            status=status,
            health_status=health,
            last_health_check=None if health == Integration.HealthStatus.UNKNOWN else clinic.at(0),
            created_by=clinic.user("admin"),
        )
    for flow in _FLOWS:
        _flow(clinic, *flow)
    for name, category, language, content, variables, approved in _TEMPLATES:
        clinic.add(
            Template,
            at=clinic.at(-100),
            name=name,
            category=category,
            language=language,
            content=content,
            variables=variables,
            is_approved=approved,
            created_by=clinic.user("staff"),
            approved_by=clinic.user("supervisor") if approved else None,
        )
    for n in range(CONVERSATIONS):
        _conversation(clinic, n)


def _flow(clinic: Clinic, name: str, description: str, status: str) -> None:
    made = clinic.at(-120)
    flow = clinic.add(
        Flow,
        at=made,
        name=name,
        description=description,
        status=status,
        created_by=clinic.user("supervisor"),
        published_at=None if status == Flow.Status.DRAFT else made,
    )
    nodes = [
        clinic.add(
            Node, at=made, flow=flow, node_type=kind, name=step, config=config, position_x=80, position_y=80 + 120 * n
        )
        for n, (kind, step, config) in enumerate(_STEPS)
    ]
    for source, target in pairwise(nodes):
        is_branch = source.node_type == Node.NodeType.CONDITION
        condition = {"answer": "yes"} if is_branch else None
        clinic.add(Edge, at=made, flow=flow, source_node=source, target_node=target, condition=condition)


def _conversation(clinic: Clinic, n: int) -> None:
    """One status and one channel after the other, so that each occurs."""
    chance = clinic.chance
    integration = clinic.of(Integration)[n % len(_INTEGRATIONS)]
    started = clinic.at(-chance.randint(0, DAYS), chance.randint(8, 21), chance.randint(0, 59))
    status = Conversation.Status.values[n % len(Conversation.Status.values)]
    talk = _TALK[: chance.randint(3, len(_TALK))]
    ended = None if status == Conversation.Status.ACTIVE else started + timedelta(minutes=2 * len(talk))
    conversation = clinic.add(
        Conversation,
        at=started,
        integration=integration,
        patient=clinic.maybe(0.8, chance.choice(clinic.of(Patient))),
        external_id=f"{integration.provider}-{chance.getrandbits(40)}",
        status=status,
        channel=integration.provider,
        ended_at=ended,
    )
    for minute, (sender, kind, content) in enumerate(talk):
        sent = started + timedelta(minutes=minute)
        clinic.add(
            Message,
            at=sent,
            conversation=conversation,
            sender_type=sender,
            message_type=kind,
            content=content,
            read_at=ended,
        )
