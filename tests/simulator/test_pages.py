"""The pages: what they show, and that nothing a consumer writes can do harm."""

import html
import re

import pytest
import requests

from .channel import ADA, post, say
from .client import manifest

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def page(simulator, path):
    answer = requests.get(simulator.url + path, timeout=5)
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


def visible(text):
    return html.unescape(re.sub(r"<[^>]+>", " ", text))


def test_an_empty_simulator_says_what_to_do(simulator):
    shown = visible(page(simulator, "/"))
    assert "No phone yet" in shown
    assert "No account yet" in shown


def test_the_index_leads_to_desks_and_phones(phone, receiver):
    phone.install("12345678", manifest(receiver.url) | {"display_name": "Acme connector"})
    shown = page(phone, "/")
    assert 'href="/phone/acme"' in shown
    assert 'href="/desk/12345678"' in shown
    assert "Acme connector" in shown


def test_what_is_filled_in_on_the_desk_is_said_to_be_a_sample_and_looks_unlike_a_hint(simulator):
    shown = page(simulator, f"/desk/{simulator.connector().account}")
    filled_in = re.findall(r'data-form="(\w+)">(.*?)</details>', shown, re.DOTALL)
    assert {name: "Filled in as a sample" in body for name, body in filled_in} == {
        name: "value=" in body for name, body in filled_in
    }
    style = requests.get(simulator.url + "/static/simulator.css", timeout=5).text
    assert re.search(r"textarea \{[^}]*color: var\(--ink\)", style)
    assert re.search(r"::placeholder \{[^}]*color: var\(--soft\)", style)


def test_the_desk_shows_the_conversation_and_the_consumer(simulator):
    connector = simulator.connector()
    sdes = [{"type": "ctmrinfo", "info": {"ctype": "gold"}}, {"type": "personal", "personal": {"firstname": "Ada"}}]
    profile = {"authenticatedData": {"lp_sdes": sdes}}
    conversation = connector.call("conversation", connector.batch(profile=profile)).json()[1]["body"]["conversationId"]
    connector.text(conversation, "Where is my parcel?")
    connector.agent(conversation, "say", text="Today.")
    connector.publish(conversation, {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [1]})
    connector.agent(conversation, "whisper", text="VIP")
    connector.agent(conversation, "rich")
    connector.agent(conversation, "file")
    connector.publish(conversation, {"type": "ChatStateEvent", "chatState": "COMPOSING"})
    shown = page(simulator, f"/desk/{connector.account}?c={conversation}")
    text = visible(shown)
    for expected in ("Ada", "gold", "Where is my parcel?", "Today.", "VIP", "Private note", "Parcel 4711", "· read"):
        assert expected in text
    assert "The consumer is typing" in shown
    picture = html.unescape(re.search(r'src="(/desk/[^"]+/file[^"]+)"', shown)[1])
    assert requests.get(simulator.url + picture).headers["content-type"] == "image/png"
    connector.agent(conversation, "close")
    assert "Closed by agent" in visible(page(simulator, f"/desk/{connector.account}/live?c={conversation}"))


def test_hostile_text_is_only_text_on_the_desk(simulator):
    connector = simulator.connector()
    profile = {
        "firstName": HOSTILE,
        "authenticatedData": {"lp_sdes": [{"type": "ctmrinfo", "info": {"ctype": HOSTILE}}]},
    }
    answer = connector.call("conversation", connector.batch(profile=profile), ext_id=HOSTILE)
    conversation = answer.json()[1]["body"]["conversationId"]
    connector.text(conversation, HOSTILE, ext_id=HOSTILE)
    shown = page(simulator, f"/desk/{connector.account}")
    assert HOSTILE in visible(shown)
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown


def test_the_phone_shows_both_sides(phone):
    sent = say(phone, text="Where is my parcel?")["id"]
    post(phone, "message.read", {"ids": [sent]}, webhook_id="w-1")
    choices = [{"id": "c-1", "title": "Morning"}]
    data = {"id": "m-1", "consumer": {"id": ADA["id"]}, "text": "When?", "quick_replies": choices, "conversation": "c"}
    post(phone, "message.created", data, webhook_id="w-2")
    post(phone, "agent.typing", {"on": True, "conversation": "c"}, webhook_id="w-3")
    shown = page(phone, "/phone/acme")
    assert 'title="read"' in shown
    assert 'data-choice="c-1"' in shown
    assert 'data-unread-id="m-1"' in shown
    assert "The agent is typing" in shown
    say(phone, type="message.status", id="m-1", status="read")
    say(phone, type="quick_reply.chosen", choice="c-1")
    shown = page(phone, "/phone/acme/live")
    assert "data-unread-id" not in shown
    assert "data-choice" not in shown
    assert "Morning" in visible(shown)
    post(phone, "conversation.closed", {"reason": "AGENT", "conversation": "c"}, webhook_id="w-4")
    assert "Conversation closed" in visible(page(phone, "/phone/acme/live"))


def test_hostile_messages_are_only_text_on_the_phone(phone):
    card = {
        "type": "vertical",
        "elements": [{"type": "text", "text": HOSTILE}, {"type": "image", "url": "javascript:1"}],
    }
    link = {"type": "button", "title": HOSTILE, "click": {"actions": [{"type": "link", "uri": "javascript:alert(3)"}]}}
    card["elements"].append(link)
    files = [{"url": "javascript:alert(4)", "mime": "image/png", "name": HOSTILE}]
    say(phone, text=HOSTILE, attachments=files, consumer={"id": HOSTILE, "name": HOSTILE})
    data = {"id": HOSTILE, "consumer": {"id": HOSTILE}, "text": HOSTILE, "attachments": files, "content": card}
    data["quick_replies"] = [{"id": HOSTILE, "title": HOSTILE}]
    post(phone, "message.created", data)
    shown = requests.get(f"{phone.url}/phone/acme", params={"consumer": HOSTILE}).text
    assert visible(shown).count("<script>alert(1)</script>") >= 4
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown
    assert "javascript:" not in shown


def test_consumers_of_one_phone_see_their_own_thread_only(phone):
    say(phone, text="from Ada")
    say(phone, text="from Bo", consumer={"id": "b", "name": "Bo"})
    assert "from Bo" not in visible(page(phone, "/phone/acme"))
    shown = visible(page(phone, "/phone/acme?consumer=b"))
    assert "from Bo" in shown
    assert "from Ada" not in shown


def test_a_failed_message_says_so(phone, receiver):
    receiver.answers = [503]
    say(phone, text="x")
    assert "not sent (503)" in visible(page(phone, "/phone/acme"))


@pytest.mark.parametrize("path", ["/phone/none", "/desk/none"])
def test_unknown_pages_say_so(simulator, path):
    answer = requests.get(simulator.url + path)
    assert answer.status_code == 404
    assert "To the first page" in answer.text


def test_pages_learn_of_changes(simulator):
    with requests.get(f"{simulator.url}/changes", stream=True, timeout=5) as stream:
        lines = stream.iter_lines()
        first = next(lines)
        simulator.install("1")
        assert next(line for line in lines if line.startswith(b"data:")) != first
