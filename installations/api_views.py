"""The REST API's lists of accounts, app installations and channels."""

from __future__ import annotations

from django.db.models import Prefetch
from django_filters import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view

from access.models import Brand
from access.rest.filters import CreatedAfter, CreatedBefore, Exactly, IdOf, OneOf
from access.rest.views import BrandScopedList
from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret, State
from installations.serializers import AccountSerializer, ChannelSerializer, InstallationSerializer


class AccountFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    lp_account_id = Exactly("lp_account_id", help_text="LivePerson's id of the account.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


class InstallationFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("account_id", Account)
    state = OneOf(State, help_text="Where it stands.")
    client_id = Exactly("client_id", help_text="LivePerson's client id.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


class ChannelFilters(FilterSet):
    brand = IdOf("brand_id", Brand)
    account = IdOf("account_id", Account)
    installation = IdOf("installation_id", AppInstallation)
    state = OneOf(State, help_text="Where it stands.")
    created_after = CreatedAfter()
    created_before = CreatedBefore()


@extend_schema_view(
    list=extend_schema(summary="LivePerson accounts, newest first"),
    retrieve=extend_schema(summary="One LivePerson account"),
)
class AccountList(BrandScopedList):
    """Accounts of the brands at LivePerson."""

    resource = "accounts"
    queryset = Account.objects.all()
    serializer_class = AccountSerializer
    filterset_class = AccountFilters


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
    filterset_class = InstallationFilters


@extend_schema_view(
    list=extend_schema(summary="Channels, newest first"),
    retrieve=extend_schema(summary="One channel"),
)
class ChannelList(BrandScopedList):
    """The ways by which consumers reach a brand."""

    resource = "channels"
    queryset = Channel.objects.prefetch_related(Prefetch("secrets", ChannelSecret.objects.defer("sealed")))
    serializer_class = ChannelSerializer
    filterset_class = ChannelFilters
