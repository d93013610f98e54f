"""
What the agent sees about a consumer.

Source: developers.liveperson.com/connector-api-send-api-conversation.html and
developers.liveperson.com/engagement-attributes-types-of-engagement-attributes.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from liveperson.payloads import CustomerInfoSde, PersonalInfoSde, SetUserProfile


@dataclass(frozen=True, kw_only=True)
class ConsumerProfile:
    """
    Members left empty are not sent. social_id: the consumer's id on the channel. ctype: the brand's own tier, such as
    gold. gender: MALE, FEMALE or OTHER.
    """

    first_name: str = ""
    last_name: str = ""
    avatar_url: str = ""
    mobile: str = ""
    mail: str = ""
    customer_id: str = ""
    social_id: str = ""
    user_name: str = ""
    ctype: str = ""
    language: str = ""
    company: str = ""
    gender: str = ""

    def as_body(self) -> SetUserProfile:
        """The body of userprofile.SetUserProfile. Without `lp_sdes` the agent would see no consumer data at all."""
        private = _filled(mobileNum=self.mobile, mail=self.mail)
        info = _filled(customerId=self.customer_id, socialId=self.social_id, userName=self.user_name, ctype=self.ctype)
        personal = _filled(
            # LivePerson writes these two with a small n.
            firstname=self.first_name,
            lastname=self.last_name,
            language=self.language,
            company=self.company,
            gender=self.gender,
        )
        contact = _filled(email=self.mail, phone=self.mobile)
        if contact:
            personal["contacts"] = [contact]
        sdes: list[CustomerInfoSde | PersonalInfoSde] = []
        if info:
            sdes.append({"type": "ctmrinfo", "info": info})
        if personal:
            sdes.append({"type": "personal", "personal": personal})
        body = _filled(
            firstName=self.first_name,
            lastName=self.last_name,
            avatarUrl=self.avatar_url,
            privateData=private,
            authenticatedData={"lp_sdes": sdes} if sdes else None,
        )
        return cast(SetUserProfile, body)


def _filled(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
