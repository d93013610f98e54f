"""Channel type -> adapter. A new channel is one line here."""

from __future__ import annotations

from adapters.base import ChannelAdapter
from adapters.custom import CustomAdapter
from core.errors import ConfigurationError

_ADAPTERS: dict[str, ChannelAdapter] = {adapter.type: adapter for adapter in (CustomAdapter(),)}


def get_adapter(channel_type: str) -> ChannelAdapter:
    """The adapter of a channel's type. Raises ConfigurationError for a type that this site does not have."""
    try:
        return _ADAPTERS[channel_type]
    except KeyError:
        known = ", ".join(sorted(_ADAPTERS))
        raise ConfigurationError(
            f"There is no channel type {channel_type!r} on this site; there are: {known}."
        ) from None


def list_adapters() -> list[ChannelAdapter]:
    """All adapters, in the order in which an operator chooses from them."""
    return sorted(_ADAPTERS.values(), key=lambda adapter: adapter.label)
