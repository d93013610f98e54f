"""
Following an open conversation: its page asks every other second, and is answered with nothing while nothing changes.

Three statements at most beside those that know who asks, one while nothing changes.
"""

from __future__ import annotations

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from access import acts
from access.admin_base import acting
from access.admin_deeds import DeedsMixin
from access.admin_records import RecordAdmin
from access.rules import Verb
from conversations.admin_transcript import live_of
from conversations.models import Conversation
from conversations.standing import BEGINNING, Standing, look
from core.ids import id_in

STATE_TONES = {"OPEN": "good", "SURVEY": "wait", "CLOSED": "plain"}

# The trail is asked again after this: an entry of who reads something stands for an hour.
_TOLD_FOR_S = 50 * 60


class LiveMixin(DeedsMixin, RecordAdmin):
    """Gives the pages of conversations the address that a page which follows one asks."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live_view)
        return [path("<path:object_id>/live/", view, name="conversations_conversation_live"), *super().get_urls()]

    def live_url(self, obj: Conversation) -> str:
        return reverse("admin:conversations_conversation_live", args=[obj.pk])

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The newest part from ?since= on; 204 while it is still the version ?seen=."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        wanted, since = id_in(object_id), id_in(request.GET.get("since", "")) or BEGINNING
        standing = look(wanted, since=since) if wanted else None
        if standing is None or not self._allows(request, Verb.VIEW, standing.conversation):
            self._note_refusal(request, object_id)
            return self.missing(request)
        if standing.version == request.GET.get("seen"):
            return HttpResponse(status=204)
        if standing.has_outgrown and since != BEGINNING:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return self._told(request, standing)

    def _told(self, request: HttpRequest, standing: Standing) -> HttpResponse:
        self._tell_who_reads(request, standing.conversation)
        context = {
            "original": standing.conversation,
            "live": live_of(standing, today=timezone.now().date()),
            "live_url": self.live_url(standing.conversation),
            "state_tone": STATE_TONES[standing.conversation.state],
            "is_answer": True,
            # While it is open they stay as they are.
            "buttons": [] if standing.conversation.is_open else self.deeds_for(request, standing.conversation),
        }
        answer = TemplateResponse(request, "admin/conversations/live.html", context)
        answer["Cache-Control"] = "no-store"
        # What is open beside a message asks again for itself.
        answer["HX-Trigger-After-Swap"] = "talk-changed"
        return answer

    def _tell_who_reads(self, request: HttpRequest, conversation: Conversation) -> None:
        key = f"follows:{request.user.pk}:{conversation.pk}"
        if cache.get(key) is None:
            acts.tell_once(self.read_action, actor=acting(request), subject=conversation)
            cache.set(key, True, _TOLD_FOR_S)


__all__ = ["STATE_TONES", "LiveMixin"]
