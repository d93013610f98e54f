"""Acts over REST: what an operator does to one row by hand, done by a program with a key that was made for it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access import refusals
from access.answers import AnotherRequest, answer_once
from access.models import ApiKey, User
from access.people import actor_of
from access.rest.authentication import reader_again
from access.rest.errors import BadParameter
from access.rest.permissions import OutOfReach
from access.rest.schema import IDEMPOTENCY_KEY, ActSchema
from access.rest.views import ByHeader, NeverKept
from access.rules import Verb, limit, may
from core.actor import Actor
from core.reading import BodyRefused, read_body

_MOST_BYTES = 16 * 1024
_LONGEST_REASON = 500
_ODD = ("Cc", "Cs")  # control characters, halves of a surrogate pair
_NAME = re.compile(r"[!-~]{1,128}", re.ASCII)


class Unusable(APIException):
    """The body or a header of an act cannot be used. `detail` is the sentence."""

    default_code = "bad_request"

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.status_code = status


class NotPossibleNow(APIException):
    """The row is not in a state in which this can be done. `detail` says why."""

    status_code = 409
    default_code = "not_possible"


class NameTaken(APIException):
    """The Idempotency-Key stands for another request."""

    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = f"This key has sent another request with this {IDEMPOTENCY_KEY}. Give each request its own."


class Asked(serializers.Serializer[Any]):
    """What an act asks for."""

    reason = serializers.CharField(
        min_length=1, max_length=_LONGEST_REASON, help_text="Why, for whoever reads the audit trail later."
    )


@dataclass(frozen=True, kw_only=True)
class _Order:
    """One request to act, understood. name: the program's own name of it."""

    name: str
    reason: str
    digest: bytes


class ActView(NeverKept, GenericAPIView[Any]):
    """
    One act on one row: POST with a reason, answered with the row as it stands after it.

    A subclass names resource, basename (of the resource's list), queryset and serializer_class, and does it in `act`;
    what that raises of `refusals` is answered 409 with its sentence. Repeated with the same Idempotency-Key, it is
    answered as before.
    """

    resource: ClassVar[str]
    basename: ClassVar[str]
    queryset: QuerySet[Any]
    refusals: ClassVar[tuple[type[Exception], ...]]
    http_method_names = ["post"]
    content_negotiation_class = ByHeader
    pagination_class = None
    filter_backends = ()
    schema = ActSchema()
    asked_for = Asked

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        """Call the service that does it."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return limit(self.queryset.all(), self.request.user)

    def post(self, request: Request, pk: uuid.UUID) -> Response:
        reader = request.user
        assert isinstance(reader, User)
        assert reader.key is not None
        _check_operates(reader)
        order = _read(request)
        self._check_row(reader, pk)
        key = reader.key
        try:
            answered = answer_once(
                key=key,
                idempotency_key=order.name,
                digest=order.digest,
                check=lambda: self._check_again(key, pk),
                act=lambda: self._done(pk, actor=actor_of(reader, request._request), reason=order.reason),
            )
        except self.refusals as refusal:
            raise NotPossibleNow(str(refusal)) from None
        except AnotherRequest:
            raise NameTaken from None
        headers = {"Idempotent-Replayed": "true"} if answered.is_repeated else {}
        return Response(json.loads(answered.text), headers=headers)

    def _check_row(self, reader: User, pk: uuid.UUID) -> None:
        row = limit(self.queryset.all(), reader).filter(pk=pk).first()
        if row is None:
            refusals.note(reader, self.queryset.model, pk, self.request._request)
            raise Http404
        if not may(reader, Verb.OPERATE, row):
            raise PermissionDenied

    def _check_again(self, key: ApiKey, pk: uuid.UUID) -> None:
        """What was right when the request began: its body may have been a long time on its way."""
        reader = reader_again(key)
        _check_operates(reader)
        self._check_row(reader, pk)

    def _done(self, pk: uuid.UUID, *, actor: Actor, reason: str) -> str:
        self.act(pk, actor=actor, reason=reason)
        row = self.get_queryset().get(pk=pk)
        context = {**self.get_serializer_context(), "fields": (), "addresses": {}}
        return JSONRenderer().render(self.get_serializer_class()(row, context=context).data).decode()


def _check_operates(reader: User) -> None:
    assert reader.key is not None
    if not reader.key.may_operate:
        raise OutOfReach("This key reads only. Make one that operates.")
    if not may(reader, Verb.OPERATE):
        raise OutOfReach("The owner of this key may not operate any more, or not in the brands that it is limited to.")


def _read(request: Request) -> _Order:
    asked: HttpRequest = request._request
    if request.query_params:
        raise BadParameter("No parameter is taken here. What is asked for stands in the body.")
    name = request.headers.get(IDEMPOTENCY_KEY, "")
    if not _NAME.fullmatch(name):
        raise Unusable(
            f"Send a header {IDEMPOTENCY_KEY} of 1 to 128 printable ASCII characters without spaces, a new one for "
            "each act: the same again is answered as the first was."
        )
    if asked.content_type != "application/json":
        raise Unusable("Send the body as application/json.", status=415)
    reason = _reason_in(_body_of(asked))
    # The request as it was understood: another order of bytes that means the same is the same request.
    meant = json.dumps([asked.path, reason])
    return _Order(name=name, reason=reason, digest=hashlib.sha256(meant.encode()).digest())


def _body_of(request: HttpRequest) -> bytes:
    try:
        return read_body(request, at_most=_MOST_BYTES)
    except BodyRefused as refused:
        raise Unusable(refused.detail, status=refused.status) from None


def _reason_in(raw: bytes) -> str:
    example = 'Send a JSON object such as {"reason": "Asked for by the brand"}.'
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise Unusable(f"The body is not JSON. {example}") from None
    if not isinstance(body, dict):
        raise Unusable(f"The body is not an object. {example}")
    if unknown := sorted(set(body) - {"reason"}):
        raise Unusable(f"There is no member {unknown[0][:60]!a}. {example}")
    reason = body.get("reason")
    if not isinstance(reason, str) or not reason.strip() or any(unicodedata.category(one) in _ODD for one in reason):
        raise Unusable(f"reason: Say why, in words and on one line. {example}")
    if len(reason.strip()) > _LONGEST_REASON:
        raise Unusable(f"reason: Say it in {_LONGEST_REASON} characters.")
    return reason.strip()
