"""Our own style and script on the admin's pages, from our own host."""

from django.http import HttpRequest
from django.templatetags.static import static


def style(request: HttpRequest) -> str:
    return static("connector_site/admin.css")


def icon(request: HttpRequest) -> str:
    return static("connector_site/icon.svg")


def script(request: HttpRequest) -> str:
    return static("connector_site/admin.js")
