"""The REST API's lists of accounts, app installations and channels."""

from __future__ import annotations

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.admin_filters import link_filter
from access.rest.filters import Exactly, filters_like
from access.rest.views import BrandScopedList
from installations.admin_filters import ACCOUNT_FILTERS, CHANNEL_FILTERS, INSTALLATION_FILTERS
from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret
from installations.serializers import AccountSerializer, ChannelSerializer, InstallationSerializer


@extend_schema_view(
    list=extend_schema(summary="LivePerson accounts, newest first"),
    retrieve=extend_schema(summary="One LivePerson account"),
)
class AccountList(BrandScopedList):
    """Accounts of the brands at LivePerson."""

    resource = "accounts"
    queryset = Account.objects.all()
    serializer_class = AccountSerializer
    filterset_class = filters_like(
        Account, ACCOUNT_FILTERS, lp_account_id=Exactly("lp_account_id", help_text="LivePerson's id of the account.")
    )


@extend_schema_view(
    list=extend_schema(summary="App installations, newest first"),
    retrieve=extend_schema(summary="One app installation"),
)
class InstallationList(BrandScopedList):
    """Connectors as they are registered in an account: their state, their settings, and since when each secret."""

    resource = "installations"
    queryset = AppInstallation.objects.prefetch_related(
        # What is sealed stays where it is.
        Prefetch("secrets", InstallationSecret.objects.defer("sealed"))
    )
    serializer_class = InstallationSerializer
    filterset_class = filters_like(
        AppInstallation, INSTALLATION_FILTERS, client_id=Exactly("client_id", help_text="LivePerson's client id.")
    )


@extend_schema_view(
    list=extend_schema(summary="Channels, newest first"),
    retrieve=extend_schema(summary="One channel"),
)
class ChannelList(BrandScopedList):
    """The ways by which consumers reach a brand."""

    resource = "channels"
    queryset = Channel.objects.prefetch_related(Prefetch("secrets", ChannelSecret.objects.defer("sealed")))
    serializer_class = ChannelSerializer
    filterset_class = filters_like(Channel, [*CHANNEL_FILTERS, link_filter("account", title="account")])
