"""
Files of ours: where the storage keeps them, and the links by which channels fetch them.

A link is a capability: it names one file and carries a signature, holds no session, and ends with the file. Whoever was
sent it can read that file and nothing else.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

# Shown in a page; everything else is handed out as a download. SVG is not among them: it can hold a script.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif"})

_SALT = "connector-site.file"


def storage_path(file_id: uuid.UUID) -> str:
    """Where the storage keeps a file: spread over folders by the end of its id, which is the random part."""
    return f"{file_id.hex[-2:]}/{file_id.hex}"


def link_to(file_id: uuid.UUID) -> str:
    """The absolute address under which a channel fetches a file."""
    path = reverse("file", kwargs={"token": Signer(salt=_SALT, sep="~").sign(file_id.hex)})
    return f"{settings.PUBLIC_BASE_URL}{path}"


def file_id_of(token: str) -> uuid.UUID | None:
    """The file that a link names, or None when its signature is wrong."""
    try:
        return uuid.UUID(Signer(salt=_SALT, sep="~").unsign(token))
    except (BadSignature, ValueError):
        return None
