"""The admin's pages of this package. Django looks for them here."""

from access.admin import BrandAdmin
from installations.admin_account import AccountAdmin
from installations.admin_channel import ChannelAdmin
from installations.admin_installation import AppInstallationAdmin
from installations.admin_pause import PAUSE, RESUME, PauseAdmin

# Brands stand below this package, and know nothing of what is sent.
BrandAdmin.deeds = (RESUME, PAUSE, *BrandAdmin.deeds)

__all__ = ["AccountAdmin", "AppInstallationAdmin", "ChannelAdmin", "PauseAdmin"]
