"""Long texts, and files both ways."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from conversations.media import storage_path
from conversations.models import Direction, Dispatch, DispatchState, MediaFile, Message, MessageStatus
from conversations.texts import digest_of, parts_of
from tests.conversations.servers import Play
from tests.conversations.stand import CLIENT, Stand

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


# --- long texts ------------------------------------------------------------------------------------------------------


def test_a_long_text_with_emoji_arrives_whole_in_several_parts(talking: Stand) -> None:
    text = "".join(f"Zeile {number}: Grüße 👩‍👩‍👧‍👦🇦🇹👋🏽\n" for number in range(200))[:6000].rstrip()
    talking.says(text, id="long")
    talking.settle()

    heard = talking.heard()[1:]
    assert len(heard) > 1
    assert "".join(heard) == text
    assert not any(part.startswith(("\u200d", "\ufe0f", "🏽")) for part in heard), "no character was cut in two"
    message = Message.objects.get(channel_message_id="long")
    assert message.status == MessageStatus.SENT
    assert [one.payload for one in message.dispatches.order_by("position")] == [
        {"part": number, "of": len(heard)} for number in range(len(heard))
    ]


def test_a_text_of_many_parts_is_sent_only_when_all_are(talking: Stand) -> None:
    talking.faults(
        {"on": "send", "do": "delay", "seconds": 0, "times": 1}, {"on": "send", "do": "status", "status": 429}
    )
    talking.says("x" * 9000, id="long")
    talking.work()

    assert Message.objects.get(channel_message_id="long").status == MessageStatus.QUEUED
    talking.faults()
    talking.pass_time(10)
    talking.settle()
    assert Message.objects.get(channel_message_id="long").status == MessageStatus.SENT


def test_each_part_has_an_echo_of_its_own(talking: Stand) -> None:
    talking.says("a" * 4000 + " " + "b" * 4000, id="long")
    talking.settle()

    parts = Message.objects.get(channel_message_id="long").dispatches.order_by("position")
    assert all(one.echo_sequence == one.lp_sequence for one in parts)


@pytest.mark.parametrize(
    "text", ["", " ", "x", "Grüße", "x" * 20_000, "👩‍👩‍👧‍👦" * 2000, "\n" * 6000, '"' * 6000, "\x01" * 3000]
)
def test_the_same_text_is_cut_in_the_same_way_whenever_it_is_done(text: str) -> None:
    parts = parts_of(text)

    assert parts == parts_of(text)
    assert "".join(parts) == text or not text.strip()
    assert all(digest_of(part) == digest_of(part + " \n") for part in parts)


def test_any_text_can_be_said(talking: Stand) -> None:
    for text in ("Half a pair \ud800", "NUL \x00", "\u202eright to left", "two\u2028lines"):
        talking.says(text)
    talking.settle()

    assert talking.heard()[1:] == ["Half a pair \ufffd", "NUL \u2400", "\u202eright to left", "two\u2028lines"]


# --- from the consumer -----------------------------------------------------------------------------------------------


def send_file(stand: Stand, name: str = "photo.png", *, mime: str = "image/png", play: Play | None = None) -> None:
    stand.phone.files[f"/{name}"] = play or Play(body=PNG, headers={"Content-Type": mime})
    stand.says("", id=name, attachments=[{"url": f"{stand.phone.url}/{name}?sig=1", "mime": mime, "name": name}])


def test_a_consumers_file_reaches_liveperson(talking: Stand) -> None:
    send_file(talking)
    talking.settle()

    shown = talking.at_liveperson()[0]["events"][-1]
    assert shown["contentType"] == "hosted/file"
    assert (shown["file"]["fileType"], shown["file"]["caption"]) == ("PNG", "photo.png")
    uploads = talking.requests("upload")
    assert [one["body"]["bytes"] for one in uploads] == [len(PNG)]
    message = Message.objects.get(channel_message_id="photo.png")
    assert (message.kind, message.status) == ("FILE", MessageStatus.SENT)


def test_a_text_and_its_files_arrive_in_order(talking: Stand) -> None:
    for name in ("a.png", "b.png"):
        talking.phone.files[f"/{name}"] = Play(body=PNG)
    files = [{"url": f"{talking.phone.url}/{name}", "mime": "image/png", "name": name} for name in ("a.png", "b.png")]
    talking.says("Both of them", id="m", attachments=files)
    talking.settle()

    assert talking.heard() == ["Hello", "Both of them", "a.png", "b.png"]
    assert Message.objects.get(channel_message_id="m").status == MessageStatus.SENT
    assert MediaFile.objects.count() == 2


def test_a_consumers_file_is_kept_and_can_be_read_again(talking: Stand) -> None:
    send_file(talking)
    talking.settle()

    kept = MediaFile.objects.get()
    assert (kept.name, kept.mime, kept.size) == ("photo.png", "image/png", len(PNG))
    assert bytes(kept.sha256) == hashlib.sha256(PNG).digest()
    assert default_storage.open(storage_path(kept.pk)).read() == PNG


def test_a_type_that_liveperson_does_not_take_fails_and_the_lane_goes_on(talking: Stand) -> None:
    send_file(talking, "movie.mp4", mime="video/mp4")
    talking.says("after it")
    talking.settle()

    file = Dispatch.objects.get(kind="FILE")
    assert (file.state, file.error_code) == (DispatchState.FAILED, "content_unsupported")
    assert file.error_detail == "LivePerson does not take files of the type video/mp4 from consumers."
    assert talking.heard() == ["Hello", "after it"]


def test_a_file_that_is_too_large_fails(talking: Stand) -> None:
    send_file(talking, "huge.png", play=Play(body=bytes(5 * 2**20 + 1)))
    talking.settle()

    file = Dispatch.objects.get(kind="FILE")
    assert (file.state, file.attempts.count()) == (DispatchState.FAILED, 1)


def test_an_address_that_may_not_be_called_does_not_hold_up_what_comes_after(talking: Stand) -> None:
    talking.says("", id="odd", attachments=[{"url": "http://①.com/a.png", "mime": "image/png", "name": "a.png"}])
    talking.says("after it")
    talking.settle()

    file = Dispatch.objects.get(kind="FILE")
    assert (file.state, file.error_code, file.attempts.count()) == (DispatchState.FAILED, "content_unsupported", 1)
    assert talking.heard() == ["Hello", "after it"]


def test_a_file_that_is_not_there_fails(talking: Stand) -> None:
    send_file(talking, "gone.png", play=Play(status=404))
    talking.settle()

    assert Dispatch.objects.get(kind="FILE").state == DispatchState.FAILED


@pytest.mark.parametrize("status", [429, 503])
def test_a_file_server_in_trouble_is_asked_again(talking: Stand, status: int) -> None:
    send_file(talking, play=Play(status=status))
    talking.work()
    assert Dispatch.objects.get(kind="FILE").state == DispatchState.QUEUED

    talking.phone.files["/photo.png"] = Play(body=PNG)
    talking.pass_time(20)
    talking.settle()

    assert talking.heard() == ["Hello", "photo.png"]


@pytest.mark.parametrize("status", [403])
def test_a_file_server_that_refuses_us_does_not_pause_the_installation(talking: Stand, status: int) -> None:
    send_file(talking, play=Play(status=status))
    talking.settle()

    assert Dispatch.objects.get(kind="FILE").state == DispatchState.FAILED
    assert talking.installation.state == "ACTIVE"


def test_an_upload_that_fails_is_done_again_without_doubt(talking: Stand) -> None:
    talking.faults({"on": "upload", "do": "lose_answer", "times": 1})
    send_file(talking)
    talking.work()
    talking.pass_time(20)
    talking.settle()

    assert talking.heard() == ["Hello", "photo.png"]
    assert not Dispatch.objects.get(kind="FILE").possible_duplicate


def test_tries_that_failed_leave_no_file_behind(talking: Stand, settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }
    talking.faults({"on": "upload", "do": "status", "status": 500, "times": 2})
    send_file(talking)
    for _ in range(3):
        talking.work()
        talking.pass_time(60)
    talking.settle()

    assert talking.heard() == ["Hello", "photo.png"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [MediaFile.objects.get().pk.hex]


# --- from the agent --------------------------------------------------------------------------------------------------


def test_an_agents_file_reaches_the_channel_as_a_link_of_ours(talking: Stand) -> None:
    talking.agent("file", content={"caption": "Return label", "fileType": "PNG"})
    talking.settle()

    (sent,) = talking.received()[-1]["attachments"]
    kept = MediaFile.objects.get()
    assert sent["mime"] == "image/png"
    assert sent["caption"] == "Return label"
    path = sent["url"].partition("//")[2].partition("/")[2]
    answer = CLIENT.get(f"/{path}")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == default_storage.open(storage_path(kept.pk)).read()
    assert Message.objects.get(direction=Direction.TO_CHANNEL).status == MessageStatus.DELIVERED


def test_a_file_that_liveperson_does_not_hand_out_yet_is_asked_for_again(talking: Stand) -> None:
    talking.agent("file")
    talking.deliver()
    talking.faults({"on": "download", "do": "status", "status": 503, "times": 1})
    talking.work()
    assert talking.received() == []

    talking.pass_time(20)
    talking.settle()

    assert len(talking.received()[-1]["attachments"]) == 1


def test_a_link_shows_its_file_and_nothing_else(talking: Stand) -> None:
    from conversations.media import file_id_of, link_to

    talking.agent("file")
    talking.settle()
    kept = MediaFile.objects.get()
    token = link_to(kept.pk).rpartition("/")[2]

    assert file_id_of(token) == kept.pk
    assert file_id_of(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert CLIENT.get(f"/files/{kept.pk.hex}").status_code == 404
    assert CLIENT.post(f"/files/{token}").status_code == 405
    assert CLIENT.head(f"/files/{token}").status_code == 200


def test_a_file_whose_time_is_over_is_gone(talking: Stand) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from conversations.media import link_to

    talking.agent("file")
    talking.settle()
    MediaFile.objects.update(expires_on=timezone.now().date() - timedelta(days=1))

    assert CLIENT.get(link_to(MediaFile.objects.get().pk).partition("8000")[2]).status_code == 404


def test_nothing_in_a_file_may_run(talking: Stand) -> None:
    from conversations.media import link_to

    talking.agent("file")
    talking.settle()
    for mime in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"):
        MediaFile.objects.update(mime=mime, name='<b>"x".svg')

        answer = CLIENT.get(link_to(MediaFile.objects.get().pk).partition("8000")[2])

        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Disposition"].startswith("attachment")
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
