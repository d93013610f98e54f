"""The admin's pages of this package. Django looks for them here."""

from installations.admin_account import AccountAdmin
from installations.admin_channel import ChannelAdmin
from installations.admin_installation import AppInstallationAdmin

__all__ = ["AccountAdmin", "AppInstallationAdmin", "ChannelAdmin"]
