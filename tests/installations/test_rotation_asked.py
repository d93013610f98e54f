"""A rotation of secrets with LivePerson behind it: a secret is added when LivePerson takes it."""

from __future__ import annotations

from typing import Any

import pytest

from access.models import Role
from tests.conversations.stand import Stand
from tests.conversations.test_tokens import rotate_at_liveperson
from tests.factories import make_user
from tests.installations.pages import do, signed_in, url_of


@pytest.fixture
def operator(stand: Stand) -> Any:
    return make_user("operator", role=Role.OPERATOR, brand=stand.channel.brand)


def test_a_secret_that_liveperson_refuses_is_not_added(stand: Stand, operator: Any) -> None:
    answer = signed_in(operator).post(
        url_of(stand.installation, "do", "add-secret"), {"secret": "mistyped"}, follow=True
    )
    assert "It was not added: LivePerson does not accept this secret" in answer.content.decode()
    assert "mistyped" not in answer.content.decode()
    assert stand.installation.secrets.count() == 1
    do(operator, stand.installation, "add-secret", secret="of-tomorrow", anyway="on")
    assert stand.installation.secrets.count() == 2


def test_a_secret_that_liveperson_takes_is_added_and_counts_as_tested(stand: Stand, operator: Any) -> None:
    secret = rotate_at_liveperson(stand)
    answer = signed_in(operator).post(url_of(stand.installation, "do", "add-secret"), {"secret": secret}, follow=True)
    assert "Added: LivePerson takes it." in answer.content.decode()
    assert stand.installation.test_passed is True
