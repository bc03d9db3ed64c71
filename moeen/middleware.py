"""Who a request is: everything it does in the database, its streamed body included, is done as its user.

Requests with a safe method (GET, HEAD, OPTIONS, TRACE) can change nothing: their transactions are READ ONLY. What is
read of clinical records is entered in the audit log by a second transaction, before anything of it is sent. Where there
are standbys, what such a request reads may come from one of them (moeen/db/standbys.py).
"""

from __future__ import annotations

import ipaddress
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.signing import BadSignature
from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_resolver, get_urlconf
from psycopg.errors import InsufficientPrivilege, QueryCanceled

from moeen.db import standbys
from moeen.db.security import identity, reads
from moeen.error_pages import unrecorded

Scope = Callable[[], AbstractContextManager[Callable[[], None]]]

_logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[\w.:-]{8,100}", re.ASCII)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Where a session keeps the role its person has switched to; absent: the usual one.
ACTING_ROLE = "acting_role"
#: The cookie with the position of the primary's log after what this browser wrote last, signed.
WRITTEN = "written"


@dataclass(frozen=True)
class Look:
    """Of a request that somebody makes as another person (moeen/looking.py): who they are, and who they look as."""

    looker: identity.Identity
    who: identity.Identity


class IdentityMiddleware:
    """Stands after AuthenticationMiddleware, and binds what comes after it."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        with identity.requested(**origin(request)), reads.recorded(purpose=_purpose(request)) as read:
            who = _identity(request, request.user)
            standby = _begin(request, who)
            with identity.bound(who):
                with standbys.reading(standby):
                    response: HttpResponseBase = self.get_response(request)
                if _end(request, standby):
                    standby, response = "", self.get_response(request)
            stored = _stored(read, _reader(request, who))
            return _noted(request, _bind_body(response, who, read, standby) if stored else unrecorded(request))

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        with identity.requested(**origin(request)), reads.recorded(purpose=_purpose(request)) as read:
            who = await sync_to_async(_identity)(request, await request.auser())
            standby = await sync_to_async(_begin)(request, who)
            with identity.bound(who):
                with standbys.reading(standby):
                    response: HttpResponseBase = await self.get_response(request)
                if await sync_to_async(_end)(request, standby):
                    standby, response = "", await self.get_response(request)
            stored = await sync_to_async(_stored)(read, _reader(request, who))
            answer = _bind_body(response, who, read, standby) if stored else unrecorded(request)
            return await sync_to_async(_noted)(request, answer)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What the database refuses to a person is forbidden (403), and no fault of the server (500).

        Where a standby was lost, or replayed what the query was looking at, the primary is asked again.
        """
        lost = isinstance(exception, OperationalError | InterfaceError)
        if standbys.current() and lost and type(exception.__cause__) is not QueryCanceled:
            request.__dict__["_again"] = True
            return HttpResponse(status=503)  # nobody sees it
        if not isinstance(exception.__cause__, InsufficientPrivilege):
            return None
        handler: Any = get_resolver(get_urlconf()).resolve_error_handler(403)
        answer: HttpResponse = handler(request, exception)
        return answer


def _begin(request: HttpRequest, who: identity.Identity) -> str:
    """The alias of the standby that this request reads from, "" for the primary."""
    if not settings.STANDBYS or not who.read_only or not who.claims:  # who is nobody reads next to nothing
        return ""
    try:
        written = request.get_signed_cookie(WRITTEN) if WRITTEN in request.COOKIES else standbys.NOTHING
    except BadSignature:
        return ""
    return standbys.begin(who.claims, written=written) if written else ""


def _end(request: HttpRequest, standby: str) -> bool:
    """Whether the request must be answered again, by the primary; nothing of it was sent, and it can change nothing."""
    if standby:
        standbys.end(standby)
    return bool(request.__dict__.pop("_again", False))


def _noted(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """After a request that may have written, the browser keeps how far a standby must be to show it that.

    Where that cannot be said, the primary answers; after REPLICA_MAX_LAG seconds each standby has it.
    """
    if settings.STANDBYS and request.method not in SAFE_METHODS:
        try:
            written = standbys.position()
        except Error:
            written = ""
        response.set_signed_cookie(
            WRITTEN, written, max_age=settings.REPLICA_MAX_LAG + 60, httponly=True, samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )  # fmt: skip
    return response


def _stored(read: reads.Reads, who: identity.Identity) -> bool:
    """Whether the audit log holds what was read; if it does not, nothing of it is to leave the server."""
    try:
        read.store(who)
    except Error:
        _logger.exception("reads of clinical records could not be recorded: the page is not shown")
        return False
    return True


def _look(request: HttpRequest) -> Look | None:
    found: Look | None = request.__dict__.get("look")
    return found


def _purpose(request: HttpRequest) -> str:
    """Why records are opened, where it is not the usual purpose of the role."""
    return "operations" if _look(request) else ""


def _reader(request: HttpRequest, who: identity.Identity) -> identity.Identity:
    """Who has read what was shown."""
    look = _look(request)
    return look.looker if look else who


def _identity(request: HttpRequest, user: Any) -> identity.Identity:
    if look := _look(request):
        who = look.who
    elif not user.is_authenticated:
        who = identity.ANONYMOUS
    else:
        session: Any = getattr(request, "session", {})  # who came by another way than a session has none
        try:
            who = identity.of(user, role=session.get(ACTING_ROLE))
        except identity.RoleNotHeld:  # it was taken from them meanwhile
            session.pop(ACTING_ROLE, None)
            who = identity.of(user)
    return replace(who, read_only=request.method in SAFE_METHODS)


def origin(request: HttpRequest) -> dict[str, str]:
    """What the audit log says of a request. The id is the proxy's where it gives one, else one for all its entries."""
    told: dict[str, str] | None = request.__dict__.get("_origin")
    if told is not None:
        return told
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    told = {"address": _address(request), "agent": request.headers.get("User-Agent", ""), "request_id": request_id}
    request.__dict__["_origin"] = told
    return told


def _address(request: HttpRequest) -> str:
    """Of the client. Of a list it is the last, which the proxy has seen; those before it the client may have said."""
    connected = str(request.META.get("REMOTE_ADDR", ""))
    handed_on = str(request.META.get(settings.CLIENT_ADDRESS_HEADER, ""))
    try:
        return str(ipaddress.ip_address(handed_on.rpartition(",")[2].strip() or connected))
    except ValueError:
        return ""  # a socket has none


def _bind_body(response: HttpResponseBase, who: identity.Identity, read: reads.Reads, standby: str) -> HttpResponseBase:
    # A file on disk asks no database, and servers send it without reading it here.
    if getattr(response, "streaming", False) and getattr(response, "file_to_stream", None) is None:
        body: Any = response.streaming_content  # type: ignore[attr-defined]
        scope = partial(_scope, who, identity.origin(), read, standby)
        bound = _bound_async(body, scope) if getattr(response, "is_async", False) else _bound(body, scope)
        response.streaming_content = bound  # type: ignore[attr-defined]
    return response


@contextmanager
def _scope(who: identity.Identity, origin: str, read: reads.Reads, standby: str) -> Iterator[Callable[[], None]]:
    """Of one part of a streamed body; what it gives records what was read, before the part is sent."""
    with identity.originating(origin), identity.bound(who), reads.resumed(read), standbys.reading(standby):
        yield partial(read.store, who)


def _bound(body: Iterator[Any], scope: Scope) -> Iterator[Any]:
    """The body, each part made in the scope; between the parts the server is itself."""
    ended = object()
    parts = iter(body)
    while True:
        with scope() as store:
            part = next(parts, ended)
            store()
        if part is ended:
            return
        yield part


async def _bound_async(body: AsyncIterator[Any], scope: Scope) -> AsyncIterator[Any]:
    ended = object()
    parts = aiter(body)
    while True:
        with scope() as store:
            part = await anext(parts, ended)
            await sync_to_async(store)()
        if part is ended:
            return
        yield part
