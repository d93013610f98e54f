"""Files of conversations, for the channels that were sent a link to them."""

from __future__ import annotations

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils import timezone

from conversations.media import PICTURES, file_id_of, storage_path
from conversations.models import MediaFile


def file(request: HttpRequest, token: str) -> HttpResponseBase:
    """
    A file by its signed link.

    A stranger chose the bytes: nothing in them may run, whatever type they claim.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    file_id = file_id_of(token)
    found = MediaFile.objects.filter(pk=file_id, expires_on__gte=timezone.now().date()).first() if file_id else None
    try:
        # Without asking first whether it is there: it may be erased at this moment.
        content = default_storage.open(storage_path(found.pk)) if found else None
    except FileNotFoundError:
        content = None
    if found is None or content is None:
        return HttpResponse("This file does not exist.\n", status=404, content_type="text/plain; charset=utf-8")
    inline = found.mime in PICTURES
    answer = FileResponse(
        content,
        content_type=found.mime if inline else "application/octet-stream",
        as_attachment=not inline,
        filename=found.name,
    )
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "private, max-age=300"
    return answer
