"""What a key opens beside the brands of its owner: the resources it is limited to."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.models import User
from access.resources import RESOURCES


class OutOfReach(PermissionDenied):
    """What a key does not open, whatever its owner may do. `detail` is the sentence."""

    default_code = "forbidden"


class InReach(BasePermission):
    """
    Lets a key into the resources it is limited to, and nowhere else.

    Raises TypeError for a view that does not say which resource it belongs to: nothing is opened by omission.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        resource = resource_of(view)
        key = request.user.key if isinstance(request.user, User) else None
        if key is not None and key.resources and resource not in key.resources:
            raise OutOfReach(f"This key does not open {resource}. It opens {', '.join(sorted(key.resources))}.")
        return True


def resource_of(view: Any) -> str:
    """The name of the resource that a view belongs to. Raises TypeError where it has none, or one that nobody knows."""
    resource = getattr(view, "resource", None)
    if resource not in RESOURCES:
        raise TypeError(f"{type(view).__name__} does not say which resource of the API it belongs to (resource).")
    return str(resource)
