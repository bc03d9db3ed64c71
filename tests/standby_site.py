"""Pages that tell where they were read from, beside the project's own; for tests of standbys."""

from django.apps import apps
from django.db import connections, router
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from healthcare.models import Patient
from moeen.urls import urlpatterns as project_urls

#: Set by a test: called by the view once it has read.
meanwhile = []


def is_standby(model=Patient):
    with connections[router.db_for_read(model)].cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        return cursor.fetchone()[0]


@csrf_exempt
def phones(request):
    """GET: the telephone numbers that somebody sees, and from where; POST: theirs is another now."""
    if request.method == "POST":
        Patient.referred.filter(pk=request.POST["patient"]).update(phone=request.POST["phone"])
    found = {str(key): phone for key, phone in Patient.referred.values_list("pk", "phone")}
    while meanwhile:
        meanwhile.pop()()
    return JsonResponse({"standby": is_standby(), "phones": found})


def keys(request):
    """The keys of every row of every table that somebody sees, and from where."""
    found, rights = {}, request.user.rights()
    for model in apps.get_models():
        if (model._meta.db_table, "S") in rights and not model._meta.proxy:
            found[model._meta.db_table] = sorted(map(str, model._base_manager.values_list("pk", flat=True)))
    return JsonResponse({"standby": is_standby(), "keys": found})


def streamed(request):
    return StreamingHttpResponse(f"{is_standby()} {key}\n" for key in Patient.referred.values_list("pk", flat=True))


def writes(request):
    Patient.referred.filter(pk=request.GET["patient"]).using("standby_1").update(phone="1")


urlpatterns = [
    *project_urls, path("phones", phones), path("keys", keys), path("streamed", streamed), path("writes", writes)
]  # fmt: skip
