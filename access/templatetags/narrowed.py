"""What narrows a list of the admin, in words."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def narrowed_by(cl: Any) -> list[dict[str, str]]:
    """The filters in use, and each one's list without it."""
    in_use = [one for one in cl.filter_specs if one.value() is not None]
    return [
        {"what": one.in_words(), "without_url": cl.get_query_string(remove=[one.parameter_name, "p"])} for one in in_use
    ]
