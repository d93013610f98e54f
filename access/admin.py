"""The admin's pages of this package. Django looks for them here."""

from access.admin_brands import BrandAdmin
from access.admin_people import MembershipAdmin, PersonAdmin

__all__ = ["BrandAdmin", "MembershipAdmin", "PersonAdmin"]
