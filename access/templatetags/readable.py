"""How the admin's pages show what strangers wrote, times, and states."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import visible_text

register = template.Library()

_LONGEST_IN_LISTS = 20
_SHOWN_IN_LISTS = 13

# As findings and deeds write a time into a sentence.
_UTC_TIME = re.compile(r"(\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b)", re.ASCII)


@register.filter
def seen(text: Any) -> SafeString:
    """Text of a stranger: escaped, and with a mark for every character that would not be seen or would turn others."""
    return format_html_join(
        "",
        "{}",
        ((_odd(piece, name) if name else piece,) for piece, name in visible_text.parts(str(text))),
    )


@register.filter
def moment(at: datetime | None, form: str = "") -> SafeString | str:
    """
    A time, in the reader's own time zone once the page's script has run; the title says it in UTC.

    form: "time" for the time of day alone.
    """
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    shown = utc.strftime("%H:%M:%S" if form == "time" else "%Y-%m-%d %H:%M:%S")
    return format_html(
        '<time class="cs-time" datetime="{}" title="{} UTC" data-form="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        form or "full",
        shown,
    )


@register.filter
def told(sentence: Any) -> SafeString:
    """A sentence of ours, which may quote a stranger: as `seen`, and its times of UTC as the reader's own."""
    pieces = _UTC_TIME.split(str(sentence))
    return format_html_join("", "{}", ((_time_or(piece),) for piece in pieces))


def _time_or(piece: str) -> SafeString:
    try:
        at = datetime.fromisoformat(f"{piece.removesuffix(' UTC')}+00:00") if _UTC_TIME.fullmatch(piece) else None
    except ValueError:  # somebody wrote something like a time
        at = None
    if at is None:
        return seen(piece)
    return format_html(
        '<time class="cs-time" datetime="{}" title="{}" data-form="full">{}</time>', at.isoformat(), piece, piece
    )


@register.filter
def long_id(text: Any) -> SafeString | str:
    """An id as a whole, with a button that copies it; a dash where there is none."""
    if not text:
        return "–"
    return format_html(
        '<span class="cs-id"><code>{}</code><button type="button" class="cs-id-copy" data-copy-near title="Copy">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span>'
        '<span class="cs-unseen">Copy</span></button></span>',
        seen(text),
    )


@register.filter
def cut(text: Any) -> SafeString:
    """An id in a list: its beginning, the whole of it in its title. The page of the row has it to copy."""
    shown = str(text)
    if len(shown) <= _LONGEST_IN_LISTS:
        return seen(shown)
    return format_html('<span title="{}">{}…</span>', shown, seen(shown[:_SHOWN_IN_LISTS]))


@register.simple_tag
def chip(text: Any, tone: str = "plain", title: str = "") -> SafeString:
    """A state as a coloured label. tone: good, wait, bad or plain."""
    return format_html('<span class="cs-chip cs-chip-{}" title="{}">{}</span>', tone, title, text)


@register.filter
def number(count: int | None) -> str:
    """A count as people read it: 1,234."""
    return "–" if count is None else f"{count:,}"


@register.filter
def size(count: int | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "–"
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"


def _odd(mark: str, name: str) -> SafeString:
    return format_html('<span class="cs-odd" title="{}">{}</span>', name, mark)
