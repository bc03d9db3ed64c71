"""What people want of language and time zone is what their pages speak."""

from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.urls import reverse

from sysadmin.models import Notification, UserPreference
from tests import factories
from tests.test_admin import url

pytestmark = pytest.mark.django_db
ENGLISH = {"accept-language": "en"}


def signed_in(client, **wanted):
    user = factories.user(role="staff", password=factories.PASSWORD)
    if wanted:
        UserPreference.objects.create(user=user, **wanted)
    client.post(reverse("admin:login"), {"username": user.email, "password": factories.PASSWORD}, headers=ENGLISH)
    return user


def language(client):
    return client.get("/admin/", headers=ENGLISH).content.decode().split('lang="')[1][:2]


def test_language__preferred__is_spoken_unless_another_is_chosen_in_this_browser(client):
    signed_in(client, language="ar")
    assert language(client) == "ar"
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    assert language(client) == "en"


def test_language__of_somebody_without_preferences__is_the_browsers(client):
    signed_in(client)
    assert language(client) == "en"


def test_preferences__saved__count_from_then_on(client):
    user = signed_in(client, language="ar")
    wanted = UserPreference.objects.get(user=user)
    words = {"user": user.pk, "language": "en", "timezone": "Asia/Riyadh", "theme": "dark", "dashboard_layout": "list"}
    assert client.post(url(UserPreference, "change", wanted.pk), words).status_code == 302
    assert language(client) == "en"


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Tokyo", "18:30"), ("Nowhere/At all", "12:30"), ("../etc", "12:30")])
def test_zone__preferred__is_that_of_times_and_one_that_there_is_not_is_none(client, zone, shown):
    user = signed_in(client, language="en", timezone=zone)
    notice = factories.notification(user=user)
    Notification.objects.filter(pk=notice.pk).update(created_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    page = client.get(url(Notification, "changelist"), headers=ENGLISH).content.decode()
    hour, minute = shown.split(":")
    assert f"{(int(hour) - 1) % 12 + 1}:{minute} PM" in page
    client.logout()
    client.force_login(factories.user(role="staff"))
    assert client.get("/admin/").status_code == 200
