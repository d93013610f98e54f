"""
What LivePerson is told about a consumer: the profile with its engagement attributes (SDEs).

Source: developers.liveperson.com/connector-api-send-api-conversation.html; member names are LivePerson's own.
"""

from __future__ import annotations

from typing import Any

from conversations.models import Consumer

_CUSTOMER_INFO = (
    "cstatus", "ctype", "customerId", "balance", "currency", "imei", "userName", "companySize", "companyBranch",
    "accountName", "role", "lastPaymentDate", "registrationDate", "storeNumber", "storeZipCode",
)  # fmt: skip
_PERSONAL = ("age", "contacts", "gender", "language", "company")
_MAX_TEXT = 256


def build_profile(consumer: Consumer) -> dict[str, Any]:
    """
    The body of userprofile.SetUserProfile.

    Members of the channel's profile that LivePerson knows are passed on under its names; others are left out.
    """
    told = {key: _cut(value) for key, value in consumer.profile.items()}
    customer = {key: told[key] for key in _CUSTOMER_INFO if key in told}
    customer["socialId"] = consumer.ext_consumer_id
    first, _, last = consumer.name.partition(" ")
    first, last = told.get("firstname", first), told.get("lastname", last)
    personal = {key: told[key] for key in _PERSONAL if key in told}
    personal |= {key: value for key, value in (("firstname", first), ("lastname", last)) if value}
    sdes: list[dict[str, Any]] = [{"type": "ctmrinfo", "info": customer}]
    if personal:
        sdes.append({"type": "personal", "personal": personal})
    profile: dict[str, Any] = {"role": "consumer", "authenticatedData": {"lp_sdes": sdes}}
    profile |= {key: value for key, value in (("firstName", first), ("lastName", last)) if value}
    return profile


def _cut(value: Any) -> Any:
    return value[:_MAX_TEXT] if isinstance(value, str) else value
