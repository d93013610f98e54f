"""The admin's page that hands out everything held of one consumer: for owners, asked by GET, given by POST."""

from __future__ import annotations

import time
from collections.abc import Generator

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse

from access.admin_base import GuardedAdmin, acting
from access.admin_deeds import ReasonForm
from access.models import User
from access.rules import Verb, may
from connector_site.exports.slots import TooManyExports
from connector_site.exports.stream import BrokenOff
from connector_site.subject_access import service
from conversations.admin_removal import words_of
from conversations.models import Consumer
from conversations.services import erasure
from core.errors import ConfigurationError

LOOK_EVERY_S = 2.0
_DEED = {
    "label": "Export everything held",
    "icon": "download",
    "explain": "Makes one JSON file of what this site holds of the person: what was said, files, ids, what was sent "
    "and what arrived. Whoever has the file can read all of it; give it to the person, and keep none.",
}


def view(request: HttpRequest, site: AdminSite, object_id: str) -> HttpResponseBase:
    """GET says what will be in it, POST hands it out."""
    page = site.get_model_admin(Consumer)
    assert isinstance(page, GuardedAdmin)
    consumer = page.get_object(request, object_id)
    if consumer is None:
        return page.missing(request)
    if request.method not in ("GET", "HEAD", "POST") or not page._allows(request, Verb.OWN, consumer):
        raise PermissionDenied
    form = ReasonForm(request.POST if request.method == "POST" else None, row=consumer)
    if request.method == "POST" and form.is_valid():
        return _hand_out(request, page, consumer, form.cleaned_data["reason"])
    return _ask(request, site, page, consumer, form)


def _hand_out(request: HttpRequest, page: GuardedAdmin, consumer: Consumer, reason: str) -> HttpResponseBase:
    try:
        pieces = service.export(consumer_id=consumer.pk, actor=acting(request), reason=reason)
    except (ConfigurationError, TooManyExports) as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(page.row_url(consumer))
    assert isinstance(request.user, User)
    pieces = _while_open(pieces, request.user, consumer)
    answer = StreamingHttpResponse(pieces, content_type="application/json")
    # An id of ours: the person's name or number would stand in the list of downloads.
    answer["Content-Disposition"] = f'attachment; filename="consumer-{consumer.pk}.json"'
    answer["Cache-Control"] = "no-store"
    return answer


def _while_open(pieces: Generator[bytes], reader: User, consumer: Consumer) -> Generator[bytes]:
    """
    Slow readers take their time, in which a role may be taken away, and the person be erased: then it breaks off.
    """
    look_again_s = time.monotonic() + LOOK_EVERY_S
    try:
        for piece in pieces:
            if time.monotonic() >= look_again_s:
                if not _is_open(reader, consumer):
                    raise BrokenOff
                look_again_s = time.monotonic() + LOOK_EVERY_S
            yield piece
    finally:
        pieces.close()


def _is_open(reader: User, consumer: Consumer) -> bool:
    """By the reader's roles as they are now, while the session stands that asked."""
    now = User.objects.filter(pk=reader.pk).first()
    if now is None or now.get_session_auth_hash() != reader.get_session_auth_hash():
        return False
    return may(now, Verb.OWN, consumer) and Consumer.objects.filter(pk=consumer.pk, erased_at=None).exists()


def _ask(
    request: HttpRequest, site: AdminSite, page: GuardedAdmin, consumer: Consumer, form: ReasonForm
) -> HttpResponse:
    held = erasure.preview(consumer)
    context = {
        **site.each_context(request),
        "opts": Consumer._meta,
        "original": consumer,
        "row_url": page.row_url(consumer),
        "title": _DEED["label"],
        "deed": _DEED,
        "form": form,
        "facts": [
            ("Words of", words_of(messages=held.messages, conversations=held.conversations)),
            ("Files", str(held.files)),
            *(("Not in it", sentence) for sentence in service.LEFT_OUT),
        ],
    }
    return TemplateResponse(request, "admin/deed.html", context)


__all__ = ["view"]
