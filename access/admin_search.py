"""
The search of lists: what is looked for is sent by the form, and stands in the list's address sealed.

It may be a phone number, or a key that somebody found. As it was typed it would stay in the browser's history, and in
the logs of whatever stands in front of this site.
"""

from __future__ import annotations

import base64
import binascii

from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeListSearchForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from core.encryption import SealBroken
from core.vault import key_ring

# No id and no name begins with it.
_MARK = "~"
_CONTEXT = "access.admin_search"
# Longer than any id or name.
_MOST_CHARS = 400


class SealedSearchForm(ChangeListSearchForm):
    """Reads the search of an address; a link of ours may say it as it is."""

    def clean(self) -> dict[str, str]:
        cleaned = super().clean() or {}
        if term := cleaned.get(SEARCH_VAR):
            cleaned[SEARCH_VAR] = _unsealed(term)
        return cleaned


def list_searched(request: HttpRequest) -> HttpResponse | None:
    """Leads to the list with what the form has sent; None where no search was sent."""
    if request.method != "POST" or SEARCH_VAR not in request.POST:
        return None
    form, address = ChangeListSearchForm(request.POST), request.GET.copy()
    for name in (SEARCH_VAR, PAGE_VAR):
        address.pop(name, None)
    if form.is_valid() and (term := form.cleaned_data[SEARCH_VAR].strip()):
        address[SEARCH_VAR] = _sealed(term[:_MOST_CHARS])
    return HttpResponseRedirect(f"{request.path}?{address.urlencode()}" if address else request.path)


def _sealed(term: str) -> str:
    sealed = key_ring().seal(term.encode(), context=_CONTEXT)
    return _MARK + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _unsealed(given: str) -> str:
    """As it is given where it is not sealed, or not by a key of now."""
    text = given.removeprefix(_MARK)
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return key_ring().open(sealed, context=_CONTEXT).decode() if text != given else given
    except (binascii.Error, ValueError, SealBroken):
        return given


__all__ = ["SealedSearchForm", "list_searched"]
