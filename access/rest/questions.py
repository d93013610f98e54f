"""Addresses of the API that are no lists: one question, one answer."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import IO, Any, ClassVar

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from access.models import User
from access.rest.authentication import reader_again
from access.rest.errors import BadParameter
from access.rest.views import StrictView

_MOST_BYTES = 64 * 1024


class SmallJson(JSONParser):
    """A body of JSON, read no further than a question can be long, whatever length it claims to have."""

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        raw = stream.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ParseError(f"The body is longer than {_MOST_BYTES // 1024} KiB. Send less.")
        try:
            return super().parse(io.BytesIO(raw), media_type, parser_context)
        except (ParseError, RecursionError):
            raise ParseError("The body cannot be read as JSON. Send a plain object.") from None


class QuestionView(StrictView):
    """
    One question to the site.

    A subclass names its resource and the parameters of its query, and answers by one call of a service.
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    parser_classes = (SmallJson,)

    def takes(self) -> Iterable[str]:
        return self.parameters

    def members(self, *known: str) -> Mapping[str, Any]:
        """The body of a POST: an object with these members and no other. Raises BadParameter, ParseError."""
        body = self.request.data
        if not isinstance(body, dict):
            raise BadParameter("The body has to be a JSON object.")
        for name in body:
            if name not in known:
                raise BadParameter(f"There is no member {name[:60]!r}. Known here: {', '.join(known)}.")
        return body

    def reader_now(self) -> User:
        """
        Who asks, as they stand when the body has come: it may have been a long time on its way.

        Raises AuthenticationFailed where their key has ended meanwhile.
        """
        reader = self.request.user
        assert isinstance(reader, User)  # IsAuthenticated lets nobody else in
        assert reader.key is not None
        return reader_again(reader.key)


__all__ = ["QuestionView", "SmallJson"]
