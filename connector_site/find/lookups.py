"""
Where each kind of id stands, and the index that leads there. Each lookup is one statement, whatever it finds.

A row of a brand that the reader does not see is not found. What is unique within an account, a channel or an inbox is
looked up in those that the reader sees: there are few of them, and the index begins with them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet

from access.rules import Person, limit
from audit.models import AuditEntry
from connector_site.find.terms import Term
from conversations.models import Consumer, Conversation, Dialog, Direction, Dispatch, Message
from core.vault import search_hash
from installations.models import Account, AppInstallation, Channel
from webhooks.models import Delivery, Inbox

Rows = Callable[[Term, Person], QuerySet[Any]]


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """
    One way to find rows of one kind.

    resource: the name of the kind in the API. why: what the term is to the row, for people. newest: what these are
    ordered by. It is never what the rows are found by, nor the id: the database would rather walk all rows from the
    newest on than gather the few that fit.
    """

    kind: str
    resource: str
    model: type[Model]
    why: str
    newest: str
    rows: Rows

    def found(self, term: Term, reader: Person, *, most: int) -> list[tuple[uuid.UUID, uuid.UUID | None, Any]]:
        """The newest: id, brand, time."""
        rows = limit(self.rows(term, reader), reader).order_by(f"-{self.newest}", "-pk")
        return list(rows.values_list("pk", "brand_id", self.newest)[:most])


def _by_own_id(model: type[Model]) -> Rows:
    def rows(term: Term, reader: Person) -> QuerySet[Any]:
        every = model._default_manager.all()
        return every.filter(pk=term.own_id) if term.own_id else every.none()

    return rows


def _by_person(term: Term, _: Person) -> QuerySet[Consumer]:
    # The hash of an erased person stays, for the consumers' own page: it tells whether somebody was erased.
    return Consumer.objects.filter(search_hash__in=[search_hash(form) for form in term.person], erased_at=None)


def _by_lp_consumer(term: Term, reader: Person) -> QuerySet[Consumer]:
    return Consumer.objects.filter(account__in=_accounts(reader), lp_consumer_id__in=term.ids).exclude(
        lp_consumer_id=""
    )


def _by_lp_conversation(term: Term, reader: Person) -> QuerySet[Conversation]:
    return Conversation.objects.filter(account__in=_accounts(reader), lp_conversation_id__in=term.ids)


def _by_dialog(term: Term, _: Person) -> QuerySet[Conversation]:
    dialogs = Dialog.objects.filter(lp_dialog_id__in=term.ids)
    return Conversation.objects.filter(pk__in=dialogs.values("conversation")).exclude(lp_conversation_id__in=term.ids)


def _by_channel_message(term: Term, reader: Person) -> QuerySet[Message]:
    channels = limit(Channel.objects.all(), reader).values("pk")
    # As the condition of the unique index says it.
    return Message.objects.filter(
        ~Q(channel_message_id=""),
        channel__in=channels,
        channel_message_id__in=term.ids,
        direction=Direction.TO_LIVEPERSON,
    )


def _by_correlation(term: Term, _: Person) -> QuerySet[Message]:
    return Message.objects.filter(~Q(correlation_id=""), correlation_id__in=term.ids)


def _sends_by_correlation(term: Term, _: Person) -> QuerySet[Dispatch]:
    return Dispatch.objects.filter(~Q(correlation_id=""), message=None, correlation_id__in=term.ids)


def _by_provider_id(term: Term, _: Person) -> QuerySet[Dispatch]:
    any_of = Q()
    for one in term.ids:
        any_of |= Q(provider_ids__contains=[one])
    return Dispatch.objects.filter(~Q(provider_ids=[]), any_of)


def _by_request(term: Term, reader: Person) -> QuerySet[Delivery]:
    inboxes = limit(Inbox.objects.all(), reader).values("pk")
    return Delivery.objects.filter(~Q(request_identity=""), inbox__in=inboxes, request_identity__in=term.ids)


def _by_lp_account(term: Term, _: Person) -> QuerySet[Account]:
    return Account.objects.filter(lp_account_id__in=term.ids)


def _by_client_id(term: Term, reader: Person) -> QuerySet[AppInstallation]:
    return AppInstallation.objects.filter(account__in=_accounts(reader), client_id__in=term.ids)


def _acts_by_correlation(term: Term, _: Person) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(~Q(correlation_id=""), correlation_id__in=term.ids)


def _accounts(reader: Person) -> QuerySet[Any, Any]:
    return limit(Account.objects.all(), reader).values("pk")


def _of(kind: str, resource: str, model: type[Model], newest: str, *ways: tuple[str, Rows]) -> Iterator[Lookup]:
    for why, rows in ways:
        yield Lookup(kind=kind, resource=resource, model=model, newest=newest, why=why, rows=rows)


LOOKUPS: tuple[Lookup, ...] = (
    *_of(
        "consumer", "consumers", Consumer, "created_at",
        ("its id on the channel", _by_person),
        ("LivePerson's id of the consumer", _by_lp_consumer),
        ("our id of it", _by_own_id(Consumer)),
    ),
    *_of(
        "conversation", "conversations", Conversation, "opened_at",
        ("its LivePerson conversation id", _by_lp_conversation),
        ("LivePerson's id of a dialog in it", _by_dialog),
        ("our id of it", _by_own_id(Conversation)),
    ),
    *_of(
        "message", "messages", Message, "created_at",
        ("the channel's own id of it", _by_channel_message),
        ("its correlation id", _by_correlation),
        ("our id of it", _by_own_id(Message)),
    ),
    *_of(
        "dispatch", "dispatches", Dispatch, "created_at",
        ("the channel's id of what was sent", _by_provider_id),
        ("its correlation id", _sends_by_correlation),
        ("our id of it, as the channel is told it", _by_own_id(Dispatch)),
    ),
    *_of(
        "delivery", "deliveries", Delivery, "received_at",
        ("the sender's own id of the request", _by_request),
        ("our id of it, and the correlation id of all that it made", _by_own_id(Delivery)),
    ),
    *_of(
        "account", "accounts", Account, "created_at",
        ("LivePerson's id of the account", _by_lp_account),
        ("our id of it", _by_own_id(Account)),
    ),
    *_of(
        "installation", "installations", AppInstallation, "created_at",
        ("its client id", _by_client_id),
        ("our id of it, as its webhook address has it", _by_own_id(AppInstallation)),
    ),
    *_of(
        "channel", "channels", Channel, "created_at",
        ("our id of it, as its webhook address has it", _by_own_id(Channel)),
    ),
    *_of(
        "audit-entry", "audit-log", AuditEntry, "at",
        ("its correlation id", _acts_by_correlation),
        ("our id of it", _by_own_id(AuditEntry)),
    ),
)  # fmt: skip

__all__ = ["LOOKUPS", "Lookup"]
