"""Filters of the list of deliveries: in the admin and in the REST API."""

from access.admin_filters import BrandFilter, RowFilter, TimeFilter, choice_filter
from conversations.admin_filters import ChannelFilter
from installations.models import AppInstallation
from webhooks.models import DeliveryState


class InstallationFilter(RowFilter):
    title = "app installation"
    parameter_name = "installation"
    model = AppInstallation


DELIVERY_FILTERS = (BrandFilter, TimeFilter, choice_filter("state", DeliveryState), InstallationFilter, ChannelFilter)
