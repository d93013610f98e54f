"""The admin's pages of this package. Django looks for them here."""

from conversations.admin_consumer import ConsumerAdmin
from conversations.admin_conversation import ConversationAdmin, MessageAdmin
from conversations.admin_dispatch import DispatchAdmin

__all__ = ["ConsumerAdmin", "ConversationAdmin", "DispatchAdmin", "MessageAdmin"]
