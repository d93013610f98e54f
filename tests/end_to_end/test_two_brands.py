"""
The main job on the running site: web server, worker, PostgreSQL and simulator, two brands at once.

Each brand's consumer and agent talk; then simulator, database and channel side are compared.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import Any

import pytest
import requests

from simulator.png import sample_png
from tests.end_to_end.brand import PlayedBrand, eventually, onboard_brand
from tests.stack import Stack

QUESTION = "Grüße 👋🏽\nIst mein Päckchen – №4711 – da?"
ANSWER = "It leaves today 🚚\nand is with you tomorrow."
NOTE = "private: the consumer is on the watch list"
WHO = "+15550100"


@pytest.fixture(scope="module")
def brands(stack: Stack) -> list[PlayedBrand]:
    """Two brands that have played the whole conversation, at the same time."""
    played = [
        onboard_brand(stack, name="e2e-north", account="92000001"),
        onboard_brand(stack, name="e2e-south", account="92000002"),
    ]
    failures: list[BaseException] = []

    def run(brand: PlayedBrand) -> None:
        try:
            _play(brand)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(brand,)) for brand in played]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return played


def _play(brand: PlayedBrand) -> None:
    mine = f"{QUESTION} ({brand.name})"
    said = brand.say(
        consumer={"id": WHO, "name": "Ada Nwosu", "profile": {"ctype": "gold"}}, id=f"{brand.name}-1", text=mine
    )
    assert said["status"] == 200
    conversation = eventually(lambda: brand.conversations(WHO), "The conversation is opened")[0]
    lp_id = conversation["id"]
    eventually(lambda: mine in brand.texts(lp_id, "CONSUMER"), "The question reaches LivePerson")
    brand.agent(lp_id, "join")
    brand.agent(lp_id, "accept")
    brand.agent(lp_id, "read")
    eventually(lambda: brand.posts("message.read"), "The channel hears that the agent has read it")

    brand.agent(lp_id, "typing")
    eventually(lambda: [p for p in brand.posts("agent.typing") if p["on"]], "The channel sees the agent type")
    brand.agent(lp_id, "stop_typing")
    brand.agent(lp_id, "say", text=ANSWER)
    answer = eventually(lambda: [p for p in brand.posts("message.created") if p["text"] == ANSWER], "The answer")[0]
    brand.agent(lp_id, "whisper", text=NOTE)
    brand.say(type="message.status", id=answer["id"], status="read")

    brand.say(type="typing.started", consumer={"id": WHO})
    eventually(lambda: "COMPOSING" in _chat_states(brand), "LivePerson hears that the consumer types")
    _send_image(brand)
    eventually(lambda: _files(brand, lp_id, "CONSUMER"), "The image reaches LivePerson")
    brand.agent(
        lp_id, "file",
        content={"caption": "label", "fileType": "PNG", "data": base64.b64encode(sample_png()).decode()},
    )  # fmt: skip
    eventually(lambda: [p for p in brand.posts("message.created") if p["attachments"]], "The agent's file arrives")
    eventually(lambda: "READ" in _receipts(brand, lp_id), "LivePerson hears that the consumer has read")

    brand.agent(lp_id, "close")
    eventually(lambda: brand.posts("conversation.closed"), "The channel hears of the close")
    brand.say(consumer={"id": WHO}, text="One more thing")
    eventually(lambda: len(brand.conversations(WHO)) == 2, "A new conversation is opened")
    second = brand.conversations(WHO)[1]["id"]
    eventually(lambda: brand.texts(second, "CONSUMER") == ["One more thing"], "The next message goes there")


def _send_image(brand: PlayedBrand) -> None:
    posted = requests.post(
        f"{brand.stack.simulator_url}/_simulator/phones/{brand.name}/files",
        data=sample_png(), headers={"content-type": "image/png"}, timeout=10,
    )  # fmt: skip
    attachment = {"url": posted.json()["url"], "mime": "image/png", "name": "parcel.png"}
    assert brand.say(consumer={"id": WHO}, attachments=[attachment])["status"] == 200


def _chat_states(brand: PlayedBrand) -> list[str]:
    bodies = [entry["body"] for entry in brand.requests("send") if isinstance(entry.get("body"), dict)]
    events = [body.get("body", {}).get("event", {}) for body in bodies]
    return [event["chatState"] for event in events if event.get("type") == "ChatStateEvent"]


def _files(brand: PlayedBrand, lp_id: str, role: str) -> list[Any]:
    return [e for e in brand.events(lp_id, "ContentEvent") if e["role"] == role and e["contentType"] == "hosted/file"]


def _receipts(brand: PlayedBrand, lp_id: str) -> list[str]:
    return [e["status"] for e in brand.events(lp_id, "AcceptStatusEvent") if e["role"] == "CONSUMER"]


def test_texts_arrive_as_they_were_written_on_all_three_sides(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        first, second = brand.conversations(WHO)
        mine = f"{QUESTION} ({brand.name})"
        assert brand.texts(first["id"], "CONSUMER") == [mine]
        assert brand.texts(second["id"], "CONSUMER") == ["One more thing"]
        rows = brand.rows()
        assert [r["text"] for r in rows if r["direction"] == "TO_LIVEPERSON" and r["text"]] == [mine, "One more thing"]
        assert [r["text"] for r in rows if r["direction"] == "TO_CHANNEL" and r["kind"] == "TEXT"] == [ANSWER, NOTE]
        assert [p["text"] for p in brand.posts("message.created") if not p["attachments"]] == [ANSWER]


def test_the_agent_sees_who_writes(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        profile = str(brand.conversations(WHO)[0]["profile"])
        assert "gold" in profile
        assert "Nwosu" in profile


def test_a_private_note_is_kept_and_never_reaches_the_consumer(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        note = next(r for r in brand.rows() if r["text"] == NOTE)
        assert (note["audience"], note["dispatches"]) == ("STAFF", [])
        assert NOTE not in str(brand.stack.simulator("GET", f"phones/{brand.name}/messages"))


def test_files_arrive_byte_for_byte_in_both_directions(brands: list[PlayedBrand]) -> None:
    wanted = hashlib.sha256(sample_png()).hexdigest()
    for brand in brands:
        received = [p for p in brand.posts("message.created") if p["attachments"]]
        fetched = requests.get(received[0]["attachments"][0]["url"], timeout=10)
        assert fetched.status_code == 200
        assert hashlib.sha256(fetched.content).hexdigest() == wanted
        stored = [r["files"] for r in brand.rows() if r["kind"] == "FILE"]
        assert stored == [[wanted], [wanted]]


def test_each_side_learns_what_became_of_its_messages(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        assert brand.posts("message.read")[0]["ids"] == [f"{brand.name}-1"]
        status = {r["text"]: r["status"] for r in brand.rows()}
        assert status[f"{QUESTION} ({brand.name})"] == "READ"
        assert status[ANSWER] == "READ"
        receipts = _receipts(brand, brand.conversations(WHO)[0]["id"])
        assert "ACCEPT" in receipts
        assert "READ" in receipts


def test_the_close_is_known_everywhere_and_the_next_message_opens_anew(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        first, second = brand.conversations(WHO)
        assert (first["state"], second["state"]) == ("CLOSE", "OPEN")
        states = {r["conversation"]: r["conversation_state"] for r in brand.rows()}
        assert states == {first["id"]: "CLOSED", second["id"]: "OPEN"}
        assert len(brand.posts("conversation.closed")) == 1


def test_nothing_was_sent_twice(brands: list[PlayedBrand]) -> None:
    for brand in brands:
        posts = brand.stack.simulator("GET", f"phones/{brand.name}/messages")["messages"]
        assert not [post for post in posts if post["duplicate"]]
        assert all(set(row["dispatches"]) <= {"SENT"} for row in brand.rows())


def test_neither_brand_sees_a_byte_of_the_other(brands: list[PlayedBrand]) -> None:
    north, south = brands
    for brand, other in ((north, south), (south, north)):
        seen = str(brand.rows()) + str(brand.conversations()) + str(brand.posts("message.created"))
        assert other.name not in seen
        assert other.account not in seen
