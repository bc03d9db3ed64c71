"""Who a transaction is: scopes, nesting, errors and savepoints, commits in the middle, and what a request may do."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session as WebSession
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction
from django.db.utils import DatabaseError, ProgrammingError
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import path, reverse

from moeen import middleware
from moeen.db.errors import MoeenError
from moeen.db.security import identity
from moeen.middleware import IdentityMiddleware
from sysadmin.models import Setting, User
from tests import factories

WHO = "SELECT current_user, coalesce(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub', '')"


def who(alias="default"):
    with connections[alias].cursor() as cursor:
        cursor.execute(WHO)
        return cursor.fetchone()


def login():
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return cursor.fetchone()[0]


@pytest.fixture(scope="module", autouse=True)
def database(new_database):
    """A migrated database in place of the default one, without a transaction around each test."""
    made = new_database.migrated()
    before, entry = connections["default"], connections.settings["default"]
    connections.settings["default"] = {**connections.settings[made.alias], "ATOMIC_REQUESTS": True}
    connections["default"] = connections.create_connection("default")
    yield made
    connections["default"].close()
    connections["default"], connections.settings["default"] = before, entry


@pytest.fixture
def people():
    return {role: factories.user(role=role, password=factories.PASSWORD) for role in ("patient", "doctor", "admin")}


@pytest.fixture
def serving():
    """As in a process that serves: nobody unless said otherwise."""
    identity.serve()
    yield
    identity.operate()


def test_unbound__serving_code__is_anon(serving):
    assert who() == ("moeen_anon", "")
    with transaction.atomic():
        assert who() == ("moeen_anon", "")
        with pytest.raises(ProgrammingError):
            list(User.objects.all())
        transaction.set_rollback(True)


def test_unbound__operator__is_the_login():
    assert who() == (login(), "")


def test_acting_as__person__is_their_role_and_no_longer_afterwards(people):
    with identity.acting_as(people["doctor"]):
        assert who() == ("moeen_doctor", str(people["doctor"].pk))
    assert who() == (login(), "")


def test_acting_as__nested_in_one_transaction__restores_the_outer(people):
    doctor, patient = people["doctor"], people["patient"]
    with transaction.atomic(), identity.acting_as(doctor):
        assert who()[0] == "moeen_doctor"
        with identity.acting_as(patient):
            assert who() == ("moeen_patient", str(patient.pk))
            with identity.acting_as_service():
                assert who() == ("moeen_service", "")
            with identity.acting_as_operator():
                assert who() == (login(), "")
            assert who() == ("moeen_patient", str(patient.pk))
        assert who() == ("moeen_doctor", str(doctor.pk))


def test_acting_as__error_inside__restores_the_outer(people):
    with identity.acting_as(people["doctor"]):
        with transaction.atomic():
            assert who()[0] == "moeen_doctor"
            with pytest.raises(DatabaseError), identity.acting_as(people["patient"]), transaction.atomic():
                connection.cursor().execute("SELECT 1/0")
            assert who()[0] == "moeen_doctor"
        with pytest.raises(KeyError), identity.acting_as(people["patient"]):
            raise KeyError
        assert who()[0] == "moeen_doctor"


def test_acting_as__bound_inside_a_savepoint_that_is_rolled_back__is_bound_anew(people):
    """The rollback takes the database back to the outer identity while the inner scope is still open."""
    with transaction.atomic(), identity.acting_as(people["doctor"]):
        assert who()[0] == "moeen_doctor"
        with identity.acting_as(people["patient"]):
            savepoint = transaction.savepoint()
            assert who()[0] == "moeen_patient"
            transaction.savepoint_rollback(savepoint)
            assert who()[0] == "moeen_patient"
        assert who()[0] == "moeen_doctor"


def test_acting_as__inner_scope_in_a_released_savepoint__does_not_stay(people):
    with transaction.atomic(), identity.acting_as(people["doctor"]):
        with transaction.atomic(), identity.acting_as(people["patient"]):
            assert who()[0] == "moeen_patient"
        assert who()[0] == "moeen_doctor"


def test_acting_as__rollback_to_a_savepoint_of_a_stronger_scope__gives_nothing_of_it(people):
    """One text of two statements, between which nothing can be bound."""
    with identity.acting_as(people["admin"]), transaction.atomic():
        assert who()[0] == "moeen_admin"
        with transaction.atomic(), identity.acting_as(people["patient"]):
            assert who()[0] == "moeen_patient"
            savepoint = connection.savepoint_ids[-1]
            with connection.cursor() as cursor:
                cursor.execute(f"ROLLBACK TO SAVEPOINT \"{savepoint}\"; SELECT current_setting('role')")
                cursor.cursor.nextset()
                assert cursor.fetchone() == ("moeen_anon",)
            assert who()[0] == "moeen_patient"
        assert who()[0] == "moeen_admin"


def test_acting_as__cursor_that_outlives_a_stronger_scope__holds_nothing_of_it(people):
    """PostgreSQL fills it at COMMIT; a session of a pool keeps it for the next person."""
    role_and_signature = "SELECT current_setting('role'), current_setting('moeen.signature')"
    with identity.acting_as(people["patient"]), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DECLARE loot CURSOR WITH HOLD FOR {role_and_signature}")
        with identity.acting_as(people["admin"]):
            cursor.execute(role_and_signature)
            assert (stronger := cursor.fetchone())[0] == "moeen_admin"
    with connection.cursor() as cursor:
        cursor.execute("FETCH ALL FROM loot")
        role, signature = cursor.fetchone()
        cursor.execute("CLOSE loot")
    assert (role, signature == stronger[1]) == ("moeen_anon", False)


def test_acting_as__commit_in_the_middle__binds_the_next_transaction(people):
    with identity.acting_as(people["doctor"]):
        for _ in range(3):
            with transaction.atomic():
                assert who()[0] == "moeen_doctor"
            assert who()[0] == "moeen_doctor"
        connection.set_autocommit(False)
        try:
            assert who()[0] == "moeen_doctor"
            connection.commit()
            assert who()[0] == "moeen_doctor"
            connection.rollback()
            assert who()[0] == "moeen_doctor"
        finally:
            connection.rollback()
            connection.set_autocommit(True)
    assert who()[0] == login()


def test_acting_as__commit_behind_our_back__binds_the_next_statement(people):
    with identity.acting_as(people["doctor"]), connection.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1; COMMIT; BEGIN")
        assert who()[0] == "moeen_doctor"
        cursor.execute("ROLLBACK")
        assert who()[0] == "moeen_doctor"


def test_acting_as__psycopgs_own_transactions_and_cursors__are_bound(people):
    with identity.acting_as(people["doctor"]):
        connection.ensure_connection()
        raw = connection.connection
        assert raw.execute(WHO).fetchone()[0] == "moeen_doctor"
        with raw.transaction():
            assert raw.execute(WHO).fetchone()[0] == "moeen_doctor"
            with identity.acting_as(people["patient"]):
                with raw.transaction(force_rollback=True):
                    assert raw.execute(WHO).fetchone()[0] == "moeen_patient"
                assert raw.execute(WHO).fetchone()[0] == "moeen_patient"
        with connection.cursor() as cursor:
            cursor.executemany("SELECT set_config('test.who', current_user::text || %s, false)", [["!"]])
            cursor.execute("SELECT current_setting('test.who')")
            assert cursor.fetchone() == ("moeen_doctor!",)
            assert next(iter(cursor.stream("SELECT current_user::text"))) == ("moeen_doctor",)
            with cursor.copy("COPY (SELECT current_user) TO STDOUT") as copy:
                assert b"".join(bytes(part) for part in copy) == b"moeen_doctor\n"


def test_acting_as__iterator__reads_as_the_person_who_asked(people):
    factories.setting(is_public=True)
    with identity.acting_as(people["patient"]):
        rows = User.objects.iterator(chunk_size=1)
        found = [next(rows)]
        with identity.acting_as(people["admin"]):
            found += list(rows)
    assert [user.pk for user in found] == [people["patient"].pk]


def test_acting_as__deactivated_or_nobody__is_anon(people):
    people["doctor"].is_active = False
    for nobody in (people["doctor"], None, AnonymousUser(), User(email="unsaved@example.test", role="admin", pk=None)):
        with identity.acting_as(nobody):
            assert who() == ("moeen_anon", "")


def test_acting_as__role_that_is_held__is_taken_and_others_are_refused(people):
    doctor = people["doctor"]
    staff, _ = factories.Role.objects.get_or_create(name="staff", defaults={"is_system": True})
    factories.user_role(user=doctor, role=staff)
    factories.user_role(user=doctor, role=factories.role(name="clinic"))
    with identity.acting_as(doctor, role="staff"):
        assert who() == ("moeen_staff", str(doctor.pk))
    for wanted in ("admin", "supervisor", "clinic", "service", "auth", "anon", "nonsense"):
        with pytest.raises(identity.RoleNotHeld) as caught, identity.acting_as(doctor, role=wanted):
            pass
        assert isinstance(caught.value, PermissionDenied)
        assert isinstance(caught.value, MoeenError)


def test_acting_as__claims__cannot_be_broken_out_of():
    evil = identity.person("x', true), set_config('role', 'none", "patient")
    with identity.bound(evil), connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('request.jwt.claims')::json ->> 'sub'")
        assert cursor.fetchone() == ("moeen_patient", "x', true), set_config('role', 'none")


def test_threads__each_its_own__never_see_the_others(people):
    seen, barrier = {"patient": set(), "doctor": set()}, threading.Barrier(2, timeout=30)

    def work(role):
        try:
            for _ in range(40):
                with identity.acting_as(people[role]):
                    barrier.wait()
                    seen[role].add(who())
                    seen[role].update(("sees", user.pk) for user in User.objects.all())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[role]) for role in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for role in seen:
        assert seen[role] == {(f"moeen_{role}", str(people[role].pk)), ("sees", people[role].pk)}


def test_tasks__interleaved_on_one_connection__never_see_the_others(people):
    async def work(role, seen):
        with identity.acting_as(people[role]):
            for _ in range(20):
                seen.add(await sync_to_async(who)())
                await asyncio.sleep(0)

    async def both():
        seen = {"patient": set(), "doctor": set()}
        await asyncio.gather(*(work(role, seen[role]) for role in seen))
        return seen

    seen = asyncio.run(both())
    for role in seen:
        assert seen[role] == {(f"moeen_{role}", str(people[role].pk))}


def test_connection__used_again_after_an_error__is_bound_to_nobody(people, serving):
    with identity.acting_as(people["admin"]):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
    assert who() == ("moeen_anon", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('role'), current_setting('request.jwt.claims', true)")
        assert cursor.fetchone()[0] == "moeen_anon"


# --- requests -----------------------------------------------------------------------------------------------------


def plain(request):
    return HttpResponse(" ".join(who()))


def writing(request):
    Setting.objects.create(key=f"k{request.method}", value=1)
    return HttpResponse("written")


def streaming(request):
    def body():
        for _ in range(3):
            yield " ".join(who()) + "\n"

    return StreamingHttpResponse(body())


def committing(request):
    parts = []
    for _ in range(2):
        with transaction.atomic(durable=True):
            parts.append(" ".join(who()))
    return HttpResponse("|".join(parts))


committing = transaction.non_atomic_requests(committing)


async def asynchronous(request):
    first = await sync_to_async(who)()
    await asyncio.sleep(0)

    async def body():
        yield " ".join(first)
        yield "|" + " ".join(await sync_to_async(who)())

    return StreamingHttpResponse(body())


urlpatterns = [
    path("plain", plain),
    path("writing", writing),
    path("streaming", streaming),
    path("committing", committing),
]


@pytest.fixture
def here(settings):
    settings.ROOT_URLCONF = __name__


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ["plain", "streaming", "committing"])
def test_request__of_a_person__is_bound_to_the_end_of_its_body(here, client, people, serving, address, method):
    client.force_login(people["doctor"])
    response = getattr(client, method)(f"/{address}")
    said = (b"".join(response) if response.streaming else response.content).decode()
    expected = f"moeen_doctor {people['doctor'].pk}"
    assert {line for line in said.replace("|", "\n").split("\n") if line} == {expected}
    assert who()[0] == "moeen_anon"


def test_request__streamed_body__leaves_the_server_itself_between_the_parts(here, client, people, serving):
    client.force_login(people["doctor"])
    for part in client.get("/streaming"):
        assert part.startswith(b"moeen_doctor")
        assert who() == ("moeen_anon", "")


def test_request__streamed_body_that_nobody_binds__is_anons_as_the_tests_above_would_see(
    here, client, people, serving, monkeypatch
):
    """A mutation of the middleware: without the wrapped body the view's scope has ended when the body is read."""
    monkeypatch.setattr(middleware, "_bind_body", lambda response, *words: response)
    client.force_login(people["doctor"])
    assert {part.split()[0] for part in client.get("/streaming")} == {b"moeen_anon"}


def test_request__of_nobody__is_anon(here, client, serving):
    assert client.get("/plain").content == b"moeen_anon "


def test_request__safe_method__cannot_write_and_post_can(here, client, people):
    client.force_login(people["admin"])
    client.raise_request_exception = False
    assert client.get("/writing").status_code == 500
    assert client.post("/writing").status_code == 200
    assert list(Setting.objects.filter(key__in=["kGET", "kPOST"]).values_list("key", flat=True)) == ["kPOST"]


def test_request__what_the_database_refuses__is_forbidden(here, client, people):
    client.force_login(people["patient"])
    assert client.post("/writing").status_code == 403


def test_middleware__asynchronous_request__is_bound_to_the_end_of_its_body(people, serving):
    async def run():
        request = AsyncRequestFactory().get("/")

        async def auser():
            return people["doctor"]

        request.auser = auser
        response = await IdentityMiddleware(asynchronous)(request)
        return b"".join([part async for part in response]).decode()

    expected = f"moeen_doctor {people['doctor'].pk}"
    assert asyncio.run(run()) == f"{expected}|{expected}"


def test_middleware__synchronous_request__is_unbound_when_the_view_fails(people, serving):
    def failing(request):
        assert who()[0] == "moeen_doctor"
        raise KeyError

    request = RequestFactory().get("/")
    request.user = people["doctor"]
    with pytest.raises(KeyError):
        IdentityMiddleware(failing)(request)
    assert who() == ("moeen_anon", "")


def test_sign_in__by_password__works_in_a_serving_process_and_notes_the_time(client, people, serving):
    with identity.acting_as_operator():
        WebSession.objects.all().delete()
    response = client.post(
        reverse("admin:login"),
        {"username": people["admin"].email.upper(), "password": factories.PASSWORD, "next": "/admin/"},
    )
    assert response.status_code == 302
    page = client.get("/admin/")
    assert page.status_code == 200
    with identity.acting_as_operator():
        assert User.objects.get(pk=people["admin"].pk).last_login is not None
        assert WebSession.objects.count() == 1
    assert client.post(reverse("admin:logout")).status_code in (200, 302)
    with identity.acting_as_operator():
        assert WebSession.objects.count() == 0


def test_sign_in__wrong_password_or_deactivated__is_refused(client, people, serving):
    address, page = people["admin"].email, reverse("admin:login")
    assert client.post(page, {"username": address, "password": "wrong"}).status_code == 200
    with identity.acting_as_operator():
        User.objects.filter(pk=people["admin"].pk).update(is_active=False)
    assert client.post(page, {"username": address, "password": factories.PASSWORD}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_session__key_that_the_browser_holds__does_not_stand_in_the_database(client, people):
    client.force_login(people["admin"])
    (cookie,) = (morsel.value for name, morsel in client.cookies.items() if name == settings.SESSION_COOKIE_NAME)
    with identity.acting_as_operator():
        assert WebSession.objects.count() > 0
        assert not WebSession.objects.filter(session_key=cookie).exists()
        (key,) = WebSession.objects.order_by("-expire_date").values_list("session_key", flat=True)[:1]
    assert client.get("/admin/").status_code == 200
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get("/admin/").status_code == 302
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    client.logout()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert client.get("/admin/").status_code == 302


def test_session__deactivated_after_signing_in__is_nobody(client, people, serving):
    client.force_login(people["admin"])
    assert client.get("/admin/").status_code == 200
    with identity.acting_as_operator():
        User.objects.filter(pk=people["admin"].pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_password_hash__in_a_persons_scope__is_not_loaded_and_cannot_be(people):
    with identity.acting_as(people["admin"]):
        user = User.objects.get(pk=people["patient"].pk)
        assert user.get_deferred_fields() == {"password"}
        with pytest.raises(ProgrammingError, match="permission denied"):
            _ = user.password
        assert user.has_usable_password()
        user.name = "changed"
        user.save()
    assert User.objects.get(pk=user.pk).check_password(factories.PASSWORD)


def test_operator__whose_rows_policies_would_hide__gets_an_error_and_no_silence():
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW row_security")
        assert cursor.fetchone() == ("off",)


def test_binding__roles_missing__says_what_to_do(new_database, serving):
    database = new_database()
    nobody = identity.Identity("moeen_nobody_knows")
    with identity.bound(nobody), pytest.raises(MoeenError, match="cannot tell who is asking"):
        who(database.alias)
    with identity.acting_as_operator():
        assert who(database.alias)[0] == database.owner
