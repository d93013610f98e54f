"""Which channels this site has."""

from __future__ import annotations

import pytest

from adapters.base import ChannelAdapter
from adapters.registry import get_adapter, list_adapters
from core.errors import ConfigurationError


def test_every_adapter_is_found_under_its_own_type() -> None:
    assert list_adapters()
    for adapter in list_adapters():
        assert get_adapter(adapter.type) is adapter


def test_an_unknown_type_says_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="custom"):
        get_adapter("carrier-pigeon")


@pytest.mark.parametrize("adapter", list_adapters(), ids=lambda adapter: adapter.type)
def test_an_adapter_explains_its_settings(adapter: ChannelAdapter) -> None:
    assert adapter.label
    assert len(adapter.type) <= 32
    names = [declared.name for declared in adapter.config_fields]
    assert len(names) == len(set(names))
    assert all(declared.label and declared.help.endswith(".") for declared in adapter.config_fields)
