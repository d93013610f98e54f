"""Filters of the lists of accounts, app installations and channels: in the admin and in the REST API."""

from access.admin_filters import BrandFilter, choice_filter, link_filter
from installations.models import State

ACCOUNT_FILTERS = (BrandFilter,)
INSTALLATION_FILTERS = (BrandFilter, choice_filter("state", State), link_filter("account", title="account"))
CHANNEL_FILTERS = (
    BrandFilter,
    choice_filter("state", State),
    link_filter("installation", title="app installation"),
)
