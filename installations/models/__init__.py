"""Which connector is installed in which LivePerson account, with its secrets and its channels."""

from installations.models.accounts import (
    Account,
    AppInstallation,
    PausedFor,
    SignaturePolicy,
    State,
    UnknownPolicy,
    default_features,
    validate_lp_account_id,
)
from installations.models.channels import Channel, validate_prefix
from installations.models.pauses import ASLEEP_FOR, Pause, PausedDirection, PauseScope
from installations.models.secrets import AppToken, ChannelSecret, InstallationSecret, SealedSecret
from installations.models.upstreams import Upstream

__all__ = [
    "ASLEEP_FOR",
    "Account",
    "AppInstallation",
    "AppToken",
    "Channel",
    "ChannelSecret",
    "InstallationSecret",
    "Pause",
    "PauseScope",
    "PausedDirection",
    "PausedFor",
    "SealedSecret",
    "SignaturePolicy",
    "State",
    "UnknownPolicy",
    "Upstream",
    "default_features",
    "validate_lp_account_id",
    "validate_prefix",
]
