"""The parameters of a query: what an address does not take is refused, never ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rest_framework.request import Request

from access.rest.errors import BadParameter

LONGEST_VALUE = 1024
# Something that is neither a space nor a control character.
VISIBLE = r"[^\s\u0000-\u001f\u007f-\u009f]"


def check_parameters(request: Request, known: Sequence[str]) -> None:
    """Raises BadParameter for a parameter that is not known here, is given twice or empty, or is far too long."""
    for name, values in request.query_params.lists():
        if name not in known:
            usable = f"Known here: {', '.join(known)}." if known else "None is taken here."
            raise BadParameter(f"There is no parameter {name[:60]!r}. {usable}")
        if len(values) > 1:
            raise BadParameter(f"{name}: It is given more than once. Give one value.")
        is_empty = not re.search(VISIBLE, values[0])
        if is_empty or len(values[0]) > LONGEST_VALUE:
            raise BadParameter(
                f"{name}: Its value is {'empty' if is_empty else 'too long'}. Leave it out, or give one."
            )
