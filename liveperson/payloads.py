"""
What is sent to LivePerson and what comes back, as TypedDicts.

They describe; they do not check. Answers come from outside: client.py checks each member that it uses.

Pages (developers.liveperson.com):
    connector-api-send-api-authorization-and-authentication.html    AppToken, ConsumerToken
    connector-api-send-api-conversation.html                        SetUserProfile, RequestConversation
    connector-api-send-api-send.html                                PublishEvent and everything after opening
    connector-api-send-api-examples.html                            file sharing, closing
    connector-api-api-reference-sendapi-error-codes.html            AuthenticationError
    domain-api.html                                                 BaseUri, BaseUris
    connector-api-webhooks-configuration.html                       Manifest
    messaging-window-api-tutorials-client-properties.html           ClientProperties
    messaging-window-api-api-reference-close-conversationttr.html   the fields of UpdateConversationField
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

# --- domains and tokens ----------------------------------------------------------------------------------------------


class BaseUri(TypedDict):
    """One service of an account; `baseURI` is a bare host. Source: domain-api.html"""

    service: str
    account: str
    baseURI: str


class BaseUris(TypedDict):
    baseURIs: list[BaseUri]


class AppToken(TypedDict):
    """Source: connector-api-send-api-authorization-and-authentication.html"""

    access_token: str
    token_type: str
    expires_in: NotRequired[int]  # not documented for connectors; other token services of LivePerson send it


class ConsumerToken(TypedDict):
    """Source: connector-api-send-api-authorization-and-authentication.html"""

    token: str


# --- headers and envelope --------------------------------------------------------------------------------------------


class ClientProperties(TypedDict):
    """The header Client-Properties, as a JSON string. Source: messaging-window-api-tutorials-client-properties.html"""

    type: Literal[".ClientProperties"]
    features: list[str]


class Request(TypedDict):
    """One request object. Source: connector-api-send-api-send.html"""

    kind: Literal["req"]
    id: str
    type: str
    body: Any
    metadata: NotRequired[list[dict[str, Any]]]


class Response(TypedDict):
    """`code` is a name such as OK or BAD_REQUEST. Source: connector-api-send-api-send.html"""

    code: str
    body: dict[str, Any]
    reqId: str


class AuthenticationErrorBody(TypedDict):
    title: str
    details: str
    errorCode: int


class AuthenticationError(TypedDict):
    """Source: connector-api-api-reference-sendapi-error-codes.html"""

    kind: Literal["resp"]
    code: int
    type: str
    body: AuthenticationErrorBody


# --- opening: connector-api-send-api-conversation.html ---------------------------------------------------------------


class PrivateData(TypedDict, total=False):
    mobileNum: str
    mail: str


class CustomerInfoSde(TypedDict):
    type: Literal["ctmrinfo"]
    info: dict[str, Any]


class PersonalInfoSde(TypedDict):
    type: Literal["personal"]
    personal: dict[str, Any]


class AuthenticatedData(TypedDict):
    lp_sdes: list[CustomerInfoSde | PersonalInfoSde]


class SetUserProfile(TypedDict, total=False):
    firstName: str
    lastName: str
    userId: str
    avatarUrl: str
    role: str
    description: str
    privateData: PrivateData
    authenticatedData: AuthenticatedData


class CampaignInfo(TypedDict):
    campaignId: str
    engagementId: str


class ConversationContext(TypedDict, total=False):
    visitorId: str
    sessionId: str
    interactionContextId: str
    type: str
    lang: str


class RequestConversation(TypedDict):
    brandId: str
    channelType: Literal["MESSAGING"]
    conversationContext: ConversationContext
    ttrDefName: NotRequired[str]
    campaignInfo: NotRequired[CampaignInfo]
    skillId: NotRequired[str]


# --- sending: connector-api-send-api-send.html -----------------------------------------------------------------------


class HostedFile(TypedDict):
    """Source: connector-api-send-api-examples.html"""

    relativePath: str
    fileType: str
    caption: NotRequired[str]
    preview: NotRequired[str]


class ContentEvent(TypedDict):
    type: Literal["ContentEvent"]
    contentType: Literal["text/plain", "hosted/file"]
    message: str | HostedFile


class ChatStateEvent(TypedDict):
    type: Literal["ChatStateEvent"]
    chatState: str


class AcceptStatusEvent(TypedDict):
    type: Literal["AcceptStatusEvent"]
    status: str
    sequenceList: list[int]


class PublishEvent(TypedDict):
    dialogId: str
    conversationId: str
    event: ContentEvent | ChatStateEvent | AcceptStatusEvent


class UpdateConversationField(TypedDict):
    """Source: messaging-window-api-api-reference-close-conversationttr.html"""

    conversationId: str
    conversationField: dict[str, Any] | list[dict[str, Any]]


class GenerateUrlForUploadFile(TypedDict):
    """Source: connector-api-send-api-examples.html"""

    fileSize: str
    fileType: str


class GenerateUrlForDownloadFile(TypedDict):
    """Source: connector-api-send-api-examples.html"""

    relativePath: str


class UrlParameters(TypedDict):
    temp_url_sig: str
    temp_url_expires: str


class FileUrl(TypedDict):
    """The body of the answer to both. Source: connector-api-send-api-examples.html"""

    relativePath: str
    queryParams: UrlParameters


# --- app installations: connector-api-webhooks-configuration.html ----------------------------------------------------


class WebhookEndpoint(TypedDict):
    endpoint: str
    max_retries: int


class Manifest(TypedDict):
    client_name: str
    display_name: str
    description: str
    enabled: bool
    grant_types: list[str]
    response_types: list[str]
    redirect_uris: list[str]
    scope: str
    logo_uri: str
    quick_launch_enabled: bool
    entry_uri: str
    capabilities: dict[str, Any]
