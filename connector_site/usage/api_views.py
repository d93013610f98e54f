"""The REST API's table of usage."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, ClassVar

from django import forms
from django.db.models import Q
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access import rules
from access.rest.errors import BadParameter
from access.rest.filters import NOT_AN_ID
from access.rest.questions import QuestionView
from connector_site.exports.forms import FORMS
from connector_site.usage.serializers import UsageSerializer, UsagesSerializer
from conversations.models import UsageCount, UsageStorage
from conversations.services import monthly_usage
from conversations.services.usage import month_of

_ONE_MONTH = "[12][0-9]{3}-(0[1-9]|1[0-2])"
_MONTHS = re.compile(rf"({_ONE_MONTH})(\.\.({_ONE_MONTH}))?")


class _MonthsField(forms.Field):
    """The first and the last of some months."""

    def to_python(self, value: Any) -> tuple[date, date]:
        if not value:
            now = month_of(timezone.now())
            return now, now
        found = _MONTHS.fullmatch(value)
        if not found:
            raise forms.ValidationError("Give a month such as 2026-11, or several such as 2026-01..2026-11.")
        return date.fromisoformat(f"{found[1]}-01"), date.fromisoformat(f"{found[4] or found[1]}-01")


class _Asked(forms.Form):
    """The parameters; without a month, the one that runs."""

    month = _MonthsField(required=False)
    brand = forms.UUIDField(required=False, error_messages={"invalid": NOT_AN_ID})
    channel = forms.UUIDField(required=False, error_messages={"invalid": NOT_AN_ID})
    form = forms.ChoiceField(choices=[("json", ""), ("csv", "")], required=False)


_PARAMETERS = {
    "month": OpenApiParameter(
        "month",
        {"type": "string", "pattern": f"^{_ONE_MONTH}(\\.\\.{_ONE_MONTH})?$"},
        description="A month such as 2026-11, or several such as 2026-01..2026-11; by default the one that runs.",
    ),
    "brand": OpenApiParameter("brand", OpenApiTypes.UUID, description="Id of the brand."),
    "channel": OpenApiParameter("channel", OpenApiTypes.UUID, description="Id of the channel."),
    "as": OpenApiParameter("as", str, enum=["json", "csv"], description="The form of the answer; JSON by default."),
}


class UsageTable(QuestionView):
    """What brands used: one row for each channel and month, the newest month first."""

    resource: ClassVar[str] = "usage"
    parameters: ClassVar[tuple[str, ...]] = tuple(_PARAMETERS)

    @extend_schema(
        operation_id="usage",
        summary="What brands used, month by month",
        parameters=list(_PARAMETERS.values()),
        responses={(200, "application/json"): UsagesSerializer, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = self._asked(request)
        first, last = asked.cleaned_data["month"]
        rows = {name: asked.cleaned_data[name] for name in ("brand", "channel") if asked.cleaned_data[name]}
        try:
            found = monthly_usage.usage_in(
                Q(month__gte=first, month__lte=last, **rows),
                counts=rules.limit(UsageCount.objects.all(), request.user),
                storage=rules.limit(UsageStorage.objects.all(), request.user),
            )
        except monthly_usage.TooMuch:
            raise BadParameter(
                f"month: These are more than {monthly_usage.MOST_ROWS} rows. Ask for fewer months, or for one brand."
            ) from None
        return self._as_csv(found) if asked.cleaned_data["form"] == "csv" else Response(UsagesSerializer(found).data)

    def _asked(self, request: Request) -> _Asked:
        given = {"form" if name == "as" else name: value for name, value in request.query_params.items()}
        asked = _Asked(given)
        for name, told in asked.errors.items():
            if name == "form":
                raise BadParameter("as: Give one of json, csv.")
            raise BadParameter(f"{name}: {' '.join(str(one) for one in told)}")
        return asked

    def _as_csv(self, found: monthly_usage.Usage) -> HttpResponse:
        form, names = FORMS["csv"], list(UsageSerializer().fields)
        lines = form.head(names) + form.write(names, UsagesSerializer(found).data["results"])
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return HttpResponse(lines, content_type=form.content_type, headers=headers)
