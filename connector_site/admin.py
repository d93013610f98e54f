"""The admin's pages of this package. Django looks for them here."""

from connector_site.admin_api_keys import ApiKeyAdmin
from connector_site.bulk.admin import BulkJobAdmin

__all__ = ["ApiKeyAdmin", "BulkJobAdmin"]
