"""The admin in a browser, served as `make serve` serves it, over a demo clinic: what people do there."""

import re
import time

import pyotp
import pytest
from django.contrib import admin
from django.urls import reverse

from healthcare.models import Appointment, Patient
from sysadmin.models import OperatorReport, Role
from tests import servers
from tests.access.matrix import MATRIX
from tests.access.roads import parse
from tests.browsing import (
    LARGEST,
    NARROW,
    PICTURED,
    PICTURES,
    WIDE,
    Visitor,
    chromium,
    follow,
    unfit,
    untranslated,
    violations,
)
from tests.test_serving import GUNICORN, run, serve

pytestmark = pytest.mark.long
PASSWORD = "شمس-القمر-7731"
#: What people of the demo clinic have typed in English.
TYPED = ("Working hours",)
ROLES = {
    "patient": "Patient", "doctor": "Doctor", "staff": "Staff", "supervisor": "Supervisor", "admin": "Administrator",
}  # fmt: skip


@pytest.fixture(scope="module")
def clinic(web_database):
    """The demo clinic's database, one backfill of which has stopped on its way, and doctor's findings; and the
    variables of processes that serve it."""
    database, folder = web_database, servers.scratch()
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    owner = {"DATABASE_URL": database.url, "LOG_DIR": str(folder / "logs"), "BACKUP_DIR": str(folder / "backups")}
    web = {
        "WEB_DATABASE_URL": database.target.url(database.name, user="moeen_web"),
        "IDENTITY_KEY": database.identity_key(),
        "CACHE_DIR": str(folder / "cache"),
    }
    words = ("--expect", database.name, "--password-file", str(folder / "password"))
    for command in (("seed_demo", *words), ("collectstatic", "--noinput", "--verbosity", "0"), ("doctor",)):
        done = run(*command, **owner | web)
        assert done.returncode in (0, 3), done.stderr
    with database.connect() as connection:
        connection.execute(
            """INSERT INTO backfill_runs (name, table_name, status, rows_total, rows_missing, rows_filled, seconds)
               VALUES ('public_ids', 'patients', 'stopped', 1000, 1000, 250, 10)"""
        )
    return database, owner | web


@pytest.fixture(scope="module")
def site(clinic):
    with serve(python=GUNICORN, **clinic[1]) as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser(site):
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def signed_in(browser, site):
    """`signed_in("admin")`: what a browser keeps of somebody who has signed in, once for each."""
    kept = {}

    def state(role):
        if role not in kept:
            visitor = Visitor(browser, site).sign_in(f"{role}@moeen.example", PASSWORD)
            kept[role] = [one for one in visitor.context.cookies() if one["name"] == "sessionid"]
            visitor.close()
        return kept[role]

    return state


@pytest.fixture
def visit(browser, site, signed_in):
    """`visit("admin", language="ar")`: a Visitor, signed in where a role is named. At the end none has seen a fault."""
    made = []

    def visitor(role="", **options):
        made.append(Visitor(browser, site, **options))
        if role:
            made[-1].context.add_cookies(signed_in(role))
        return made[-1]

    yield visitor
    faults = [fault for each in made for fault in each.faults]
    for each in made:
        each.close()
    assert faults == []


def value(database, query, *values):
    with database.connect() as connection:
        return connection.execute(query, values).fetchone()[0]


def page_of(model, name, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def person_page(database, name, role):
    return reverse(
        f"admin:sysadmin_user_{name}",
        args=[value(database, "SELECT id FROM users WHERE email = %s", f"{role}@moeen.example")],
    )


@pytest.mark.parametrize("role", ROLES)
def test_sign_in__each_role__finds_the_tables_that_are_theirs(visit, role):
    visitor = visit()
    visitor.sign_in(f"{role}@moeen.example", PASSWORD)
    page = visitor.page
    assert page.url.endswith("/admin/")
    assert ROLES[role] in page.text_content("#user-tools")
    listed = set(page.eval_on_selector_all("#content th a", "all => all.map(a => a.pathname)"))
    for model in admin.site._registry:
        may_see = "S" in parse(MATRIX[model._meta.db_table].get(role, ""))
        assert (page_of(model, "changelist") in listed) == may_see, model
    follow(page, "#logout-form button")
    assert "Logged out" in page.title()


def test_sign_in__wrong_password__is_told_and_not_let_in(visit):
    page = visit().sign_in("admin@moeen.example", "another-password").page
    assert "/admin/login/" in page.url
    assert "wrong" in page.inner_text(".errornote")


def test_second_factor__set_up__is_asked_for_at_the_next_sign_in(visit):
    visitor = visit()
    page = visitor.sign_in("supervisor@moeen.example", PASSWORD).page
    visitor.go("/admin/second-factor/")
    page.fill("#id_password", PASSWORD)
    follow(page, "button[value=begin]")
    secret = page.inner_text("code[dir=ltr]").replace(" ", "")
    assert page.locator(".qr-code svg").is_visible()
    visitor.picture("second-factor")
    page.fill("#id_code", pyotp.TOTP(secret).now())
    follow(page, "button[value=confirm]")
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) >= 8
    follow(page, "#logout-form button")
    visitor.sign_in("supervisor@moeen.example", PASSWORD)
    assert page.url.endswith("/admin/login/code/")
    page.fill("#id_code", pyotp.TOTP(secret).at(int(time.time()) + 30))  # each code counts once
    follow(page, "#login-form [type=submit]")
    assert page.url.endswith("/admin/")
    visitor.go("/admin/second-factor/")
    page.fill("#id_code", codes[0])
    follow(page, "button[value=remove]")
    assert page.locator("button[value=begin]").is_visible()


def test_roles__several_held__are_switched_between(visit):
    page = visit().sign_in("doctor@moeen.example", PASSWORD).page
    page.select_option("#role-switch", "supervisor")
    follow(page, ".role-switch button")
    assert page.eval_on_selector("#role-switch", "one => one.value") == "supervisor"
    page.select_option("#role-switch", "doctor")
    follow(page, ".role-switch button")
    assert page.eval_on_selector("#role-switch", "one => one.value") == "doctor"


def test_saving__both_changed_the_same_field__is_shown_three_ways_and_decided(visit, clinic):
    address = page_of(Patient, "change", value(clinic[0], "SELECT id FROM patients ORDER BY id LIMIT 1"))
    first, second = visit("admin").go(address), visit("staff").go(address)
    first.fill("#id_phone", "+966500000001")
    second.fill("#id_phone", "+966500000002")
    follow(first, "[name=_continue]")
    assert "changed successfully" in first.inner_text(".messagelist")
    follow(second, "[name=_continue]")
    assert "+966500000001" in second.inner_text(".conflicts")
    assert "+966500000002" in second.inner_text(".conflicts")
    follow(second, "[name=_continue]")
    assert second.locator(".conflicts").count() == 0
    assert value(clinic[0], "SELECT phone FROM patients ORDER BY id LIMIT 1") == "+966500000002"


def test_matrix__of_a_role__shows_what_rules_and_the_policys_text(visit, clinic):
    key = value(clinic[0], "SELECT id FROM roles WHERE name = 'doctor' AND is_system")
    page = visit("admin").go(page_of(Role, "change", key))
    row = page.locator(".matrix tr", has=page.locator("bdi", has_text=re.compile("^patients$")))
    row.locator("details summary").first.click()
    assert "my_patient_ids" in row.locator("pre").first.inner_text()


def test_why_not__a_row_of_somebody_elses__names_the_policy(visit, clinic):
    database = clinic[0]
    theirs = value(
        database,
        """SELECT s.public_id FROM sessions AS s JOIN doctors AS d ON d.id = s.doctor_id LEFT JOIN users AS u
           ON u.id = d.user_id WHERE u.email IS DISTINCT FROM 'doctor@moeen.example' LIMIT 1""",
    )
    visitor = visit("admin")
    page = visitor.go(person_page(database, "change", "doctor"))
    follow(page, ".object-tools a:has-text('Access')")
    follow(page, ".object-tools a:has-text('Why')")
    page.fill("#id_row", theirs)
    follow(page, "[type=submit][value=Ask]")
    assert page.inner_text(".answer-no") == "No"
    assert "No policy lets this row through." in page.inner_text("[role=status]")
    visitor.picture("why-not")


def test_look_as__another_person__sees_what_they_see_and_changes_nothing(visit, clinic):
    database = clinic[0]
    visitor = visit()
    page = visitor.sign_in("admin@moeen.example", PASSWORD).page
    visitor.go(person_page(database, "access", "doctor"))
    follow(page, "button:has-text('Look as this person (Doctor)')")
    assert "Nothing can be changed" in page.inner_text(".looks")
    assert value(database, "SELECT count(*) FROM audit_logs WHERE action = 'LOOKED_AS'") == 1
    visitor.go("/admin/healthcare/patient/")
    visitor.picture("look-as")
    assert int(re.search(r"(\d+) patients", page.inner_text(".paginator"))[1]) < 140
    follow(page, "#result_list tbody th a >> nth=0")
    page.fill("#id_address", "elsewhere")
    follow(page, "[name=_save]")
    assert "nothing can be changed" in page.inner_text("main")
    assert value(database, "SELECT count(*) FROM patients WHERE address = 'elsewhere'") == 0
    visitor.faults.clear()  # the console tells of the refusal
    visitor.go("/admin/")
    follow(page, ".looks button")
    assert page.locator(".looks").count() == 0


def test_timeline__of_a_patient__leads_to_what_is_kept_of_them(visit, clinic):
    busiest = "SELECT patient_id FROM appointments GROUP BY patient_id ORDER BY count(*) DESC, patient_id LIMIT 1"
    visitor = visit("admin", language="ar")
    page = visitor.go(page_of(Patient, "change", value(clinic[0], busiest)))
    follow(page, ".object-tools a[href$='/timeline/']")
    visitor.picture("timeline")
    assert page.locator(".timeline .hijri").count() > 1
    follow(page, ".timeline a[href*='/appointment/'] >> nth=0")
    assert page.locator("#id_appointment_date").is_visible()


def test_id__copied_by_its_button__is_whole(visit, clinic):
    visitor = visit("staff")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.go(page_of(Patient, "changelist"))
    page.click("button.copy >> nth=0")
    page.wait_for_selector("button.copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert value(clinic[0], "SELECT count(*) FROM patients WHERE public_id = %s", copied) == 1


def test_search__public_id__leads_to_its_page(visit, clinic):
    public_id, key = (
        value(clinic[0], f"SELECT {column}::text FROM insurance_claims ORDER BY id LIMIT 1")
        for column in ("public_id", "id")
    )
    page = visit("staff").go("/admin/")
    page.fill("[role=search] input", public_id)
    page.press("[role=search] input", "Enter")
    page.wait_for_url(f"**/insuranceclaim/{key}/change/")


def test_search__arabic_name_in_another_way_to_write_it__is_found(visit, clinic):
    with clinic[0].connect() as connection:
        connection.execute("INSERT INTO patients (first_name, last_name) VALUES ('أُسامة', 'الإدريسي')")
    page = visit("staff", language="ar", size=NARROW).go("/admin/")
    page.fill("[role=search] input", "اسامه")
    with page.expect_navigation():
        page.press("[role=search] input", "Enter")
    follow(page, ".found a:has-text('الإدريسي')")
    assert "أُسامة" in page.input_value("#id_first_name")


def test_backfill__paused_and_let_go_on__in_the_operations_room(visit, clinic):
    asked = "SELECT pause_requested FROM backfill_runs WHERE table_name = 'patients'"
    visitor = visit("admin")
    page = visitor.go(page_of(OperatorReport, "changelist"))
    for label, wanted in (("Pause", True), ("Go on", False)):
        follow(page, f"button[name=pause]:has-text('{label}')")
        assert value(clinic[0], asked) == wanted


def test_backup__verify_now__is_asked_for_and_withdrawn_while_no_worker_is_there(visit, clinic):
    waiting = "SELECT count(*) FROM operator_requests WHERE taken_at IS NULL"
    page = visit("admin").go(page_of(OperatorReport, "changelist"))
    follow(page, "button:has-text('Verify now')")
    assert "waits until one is" in page.inner_text("[aria-labelledby=requests]")
    assert value(clinic[0], waiting) == 1
    follow(page, "button:has-text('Withdraw')")
    assert value(clinic[0], waiting) == 0


def test_language__switched__stays_on_the_page(visit):
    page = visit("staff").go(page_of(Patient, "changelist"))
    follow(page, ".language-switch button[value=ar]")
    assert page.get_attribute("html", "dir") == "rtl"
    assert page.url.endswith(page_of(Patient, "changelist"))


def row_of(database, model):
    with database.connect() as connection:
        found = connection.execute(f"SELECT id FROM {model._meta.db_table} ORDER BY id LIMIT 1").fetchone()
    return found and found[0]


def every_page(database):
    """(who, address) of each page that the admin has: of every table, and of every room."""
    for model in admin.site._registry:
        cell = parse(MATRIX[model._meta.db_table].get("admin", ""))
        if "S" not in cell:
            continue
        yield "admin", page_of(model, "changelist")
        if "I" in cell:
            yield "admin", page_of(model, "add")
        key = model is not OperatorReport and row_of(database, model)
        if key:
            yield "admin", page_of(model, "change", key)
            yield "admin", page_of(model, "history", key)
            if "D" in cell and model is not Role:  # nobody deletes a system role
                yield "admin", page_of(model, "delete", key)
    yield from main_pages(database)
    patient = row_of(database, Patient)
    yield "admin", reverse("admin:healthcare_patient_accesses", args=[patient])
    yield "admin", f"/admin/search/?q={'ن' * 30}"
    yield "admin", f"{page_of(Patient, 'changelist')}?q=محمد"
    yield "admin", "/admin/healthcare/"
    yield "admin", "/admin/password_change/"
    yield "admin", "/admin/second-factor/"
    yield "admin", "/admin/own-sessions/"
    yield "admin", person_page(database, "why", "doctor")
    yield "doctor", "/admin/"
    yield "doctor", page_of(Patient, "changelist")
    yield "patient", "/admin/"
    yield "", "/admin/password_reset/"


def main_pages(database):
    """The fifteen that people spend their day on."""
    busiest = value(
        database, "SELECT patient_id FROM appointments GROUP BY patient_id ORDER BY count(*) DESC, patient_id LIMIT 1"
    )
    system = value(database, "SELECT id FROM roles WHERE name = 'doctor' AND is_system")
    theirs = value(database, "SELECT public_id FROM sessions ORDER BY id LIMIT 1")
    return [
        ("", "/admin/login/"),
        ("admin", "/admin/"),
        ("staff", "/admin/search/?q=محمد"),
        ("staff", page_of(Patient, "changelist")),
        ("staff", page_of(Patient, "add")),
        ("staff", page_of(Patient, "change", busiest)),
        ("staff", reverse("admin:healthcare_patient_timeline", args=[busiest])),
        ("doctor", reverse("admin:healthcare_patient_break_glass")),
        ("staff", page_of(Appointment, "changelist")),
        ("staff", page_of(Appointment, "add")),
        ("admin", page_of(OperatorReport, "changelist")),
        ("admin", page_of(Role, "change", system)),
        ("admin", person_page(database, "change", "doctor")),
        ("admin", person_page(database, "access", "doctor")),
        ("admin", f"{person_page(database, 'why', 'doctor')}?row={theirs}&command=SELECT&role=doctor"),
    ]


def visits(visit, pages, **options):
    """Each page, opened by who it is for; one browser for each of them."""
    people = {}
    for role, address in pages:
        if role not in people:
            people[role] = visit(role, **options)
        yield people[role], address, people[role].go(address)


@pytest.mark.parametrize("language", ["ar", "en"])
def test_pages__every_one__fits_its_window_and_speaks_one_language(visit, clinic, language):
    found, count = [], 0
    for visitor, address, page in visits(visit, every_page(clinic[0]), language=language):
        count += 1
        assert page.get_attribute("html", "lang") == language
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            found += [(address, size["width"], one) for one in unfit(page)]
        if language == "ar":
            found += [(address, one) for one in untranslated(page) if not one.endswith(TYPED)]
        found += [(address, one) for one in visitor.faults]
        visitor.faults.clear()
    assert not found, "\n".join(map(str, found))
    assert count > 120


@pytest.mark.parametrize(
    "options", [{"language": "ar", "size": NARROW}, {"language": "en", "dark": True}], ids=["ar-390", "en-dark"]
)
def test_main_pages__accessibility__nothing_serious(visit, clinic, options):
    pages = main_pages(clinic[0])
    assert len(pages) == 15
    opened = visits(visit, pages, bypass_csp=True, **options)  # axe-core styles what it looks at
    found = [(address, *one) for _, address, page in opened for one in violations(page)]
    assert not found, "\n".join(map(str, found))


def pictured(database):
    """What the pages about the admin show: (name, who, address, what is scrolled to)."""
    pages = {address: role for role, address in main_pages(database)}
    timeline = next(address for address in pages if address.endswith("/timeline/"))
    role = next(address for address in pages if address.startswith("/admin/sysadmin/role/"))
    shown = {
        "patients": (page_of(Patient, "changelist"), "html"),
        "timeline": (timeline, "html"),
        "operations": (page_of(OperatorReport, "changelist"), "#migrations"),
        "role": (role, ".matrix"),
    }
    return [(name, pages[address], address, place) for name, (address, place) in shown.items()]


@pytest.mark.parametrize("language", ["ar", "en"])
def test_docs__pictures_of_the_admin__are_made_here_and_small(visit, clinic, tmp_path, language):
    """`make pictures` keeps them."""
    for name, role, address, place in pictured(clinic[0]):
        visitor = visit(role, language=language, size=PICTURED)
        visitor.go(address).locator(place).first.evaluate("one => one.scrollIntoView()")
        path = visitor.picture(f"{name}.{language}", folder=PICTURES or tmp_path, whole=False)
        assert path.stat().st_size < LARGEST, path.name
        assert (servers.PROJECT / "docs" / "pictures" / path.name).exists()
