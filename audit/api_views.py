"""The REST API's list of the trail."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view

from access.rest.filters import Exactly, filters_like
from access.rest.views import BrandScopedList
from audit.admin_filters import AUDIT_FILTERS
from audit.models import AuditEntry
from audit.serializers import AuditEntrySerializer
from audit.walks import AUDIT_WALKS


@extend_schema_view(
    list=extend_schema(summary="The audit trail, newest first"),
    retrieve=extend_schema(summary="One entry of the trail"),
)
class AuditLogList(BrandScopedList):
    """
    Who did what to which row, when, from where and why. Nothing in it is ever changed or deleted.

    Entries of the whole site are told to those alone who see all brands.
    """

    resource = "audit-log"
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = filters_like(
        AuditEntry,
        AUDIT_FILTERS,
        correlation_id=Exactly("correlation_id", help_text="What ties an act to log lines and messages."),
    )
    batch = 100  # an entry may name a thousand rows
    walks = AUDIT_WALKS
