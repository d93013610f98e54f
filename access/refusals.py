"""
Who asks for a row of a brand that they do not see is told that there is nothing, and the brand's own trail tells of it.

The answer is made without this: its body, status and headers are those of an id that does not exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models
from django.http import HttpRequest

from access import acts
from access.models import User
from access.people import actor_of
from access.rules import Person, Verb, may

# The brand's own people read it, and who works for another brand is not theirs to know. Whoever runs the site finds the
# person or the key by the id.
_SOMEBODY = "somebody outside the brand"

logger = structlog.get_logger(__name__)


def note(reader: Person, model: type[models.Model], row_id: Any, request: HttpRequest | None) -> None:
    """
    Have a refusal recorded, if this row was refused because of its brand.

    Called where nothing was found for the reader. What goes wrong here is logged and does not reach them: another
    answer would tell that the row exists.
    """
    if not isinstance(reader, User):
        return
    try:
        row = model._base_manager.filter(pk=row_id).first()
        if row is not None and not may(reader, Verb.VIEW, row):
            actor = replace(actor_of(reader, request), name=_SOMEBODY)
            acts.tell_once("access.refused", actor=actor, subject=row)
    except (ValidationError, ValueError):
        return  # not an id at all
    except DatabaseError:
        logger.exception("access.refusal_not_recorded", model=model._meta.label)


__all__ = ["note"]
