"""An export from a real web process: what a revoked key began is broken off, and its reader can tell."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests
from django.utils import timezone
from knox.models import AuthToken

from access.models import ApiKey
from audit.models import AuditEntry
from connector_site.exports.reader import Watch
from conversations.models import Message
from tests.access.keys import make_key
from tests.factories import make_world


@pytest.fixture(autouse=True)
def _keys_go(transactional_db: None) -> Iterator[None]:
    yield
    AuthToken.objects.all().delete()


def test_a_web_process_breaks_off_what_a_revoked_key_began(web):
    """More than the buffers of a connection hold; the reader takes a little, then waits."""
    amber = make_world(slug="amber", mark="AMBERXQJ7")
    said = {
        "brand": amber.brand, "consumer": amber.consumer, "channel": amber.channel, "direction": "TO_LIVEPERSON",
        "sender_role": "CONSUMER", "status": "SENT", "occurred_at": timezone.now(), "lp_dialog_id": "d" * 256,
        "correlation_id": "c" * 64, "channel_message_id": "",
    }  # fmt: skip
    Message.objects.bulk_create([Message(**said) for _ in range(9_000)])
    headers = {"Authorization": f"Bearer {make_key(amber.auditor)}"}
    with requests.get(
        f"http://127.0.0.1:{web.port}/api/v1/messages/export/", headers=headers, stream=True, timeout=30
    ) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_content(100_000)
        assert next(pieces).startswith(b'{"id":')
        ApiKey.objects.update(revoked_at=timezone.now())
        time.sleep(Watch.EVERY_S + 0.2)

        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in pieces:
                pass

    deadline = time.monotonic() + 30
    while not AuditEntry.objects.filter(action="export.ended") and time.monotonic() < deadline:
        time.sleep(0.05)
    (ended,) = AuditEntry.objects.filter(action="export.ended")
    assert ended.data["ended"] == "broken off: NoLongerOpen"
    assert ended.data["rows"] < 9_000
