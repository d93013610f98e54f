"""The registry of actions against the source: nothing is recorded that it lacks, nothing stands there unused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from access.models import User
from audit.actions import ACTIONS, PERSONAL
from audit.models import AuditEntry

ROOT = Path(__file__).parents[2]
PACKAGES = ("access", "audit", "installations", "conversations", "webhooks", "connector_site")
WRITERS = {"audit.record", "audit.record_once", "acts.tell", "acts.tell_once"}
ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path != ROOT / "audit" / "actions.py" and "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


def pattern_of(node: ast.expr) -> str:
    """What a text with places to fill in can become: each is filled with one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(pattern_of(one) for one in node.values)
    return re.escape(str(node.value)) if isinstance(node, ast.Constant) else "[a-z_]+"


def recorded_by_name() -> set[str]:
    """The actions, as patterns, that calls of the trail's writers name themselves."""
    nodes = (node for _, tree in sources() for node in ast.walk(tree))
    calls = (node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS)
    named = (form for call in calls for form in forms_of(call.args[0]))
    return {pattern_of(form) for form in named if isinstance(form, (ast.Constant, ast.JoinedStr))}


def forms_of(node: ast.expr) -> list[ast.expr]:
    """One, or the two that a condition chooses from."""
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def named_anywhere() -> set[str]:
    """Every text of the source that is no sentence: some calls take their action from a table."""
    nodes = (node for _, tree in sources() for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_action_that_the_code_records_is_registered():
    recorded = recorded_by_name()
    assert len(recorded) > 30
    assert [one for one in recorded if not any(re.fullmatch(one, action) for action in ACTIONS)] == []


def test_every_registered_action_is_recorded_somewhere():
    recorded, named = recorded_by_name(), named_anywhere()
    unused = [one for one in ACTIONS if one not in named and not any(re.fullmatch(form, one) for form in recorded)]
    assert unused == []


def test_every_action_is_a_dotted_name_in_the_past_tense_with_a_sentence():
    for action, sentence in ACTIONS.items():
        assert ACTION.fullmatch(action)
        assert sentence
        assert sentence[0].islower()
        assert not sentence.endswith(".")


def test_what_is_personal_is_declared_for_actions_that_there_are():
    assert set(PERSONAL) <= set(ACTIONS)
    assert all(PERSONAL.values())


def test_no_member_names_a_consumer():
    """An erasure masks what people wrote; the rest of an entry cannot be changed by anybody."""
    spoken_of = ("consumer.", "conversation.", "message.", "dispatch.", "lane.", "lanes.", "delivery.")
    members = {name for action, names in PERSONAL.items() if action.startswith(spoken_of) for name in names}
    assert members <= {"held_by", "blocked_by"}  # people who work here


# --- commands of Django's --------------------------------------------------------------------------------------------


def test_a_person_who_runs_the_site_added_by_command_stands_in_the_trail(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long password for tests")
    call_command("createsuperuser", interactive=False, username="root", email="", verbosity=0)
    person = User.objects.get(username="root")
    entry = AuditEntry.objects.get(action="user.created")
    assert (entry.subject_id, entry.actor_kind) == (str(person.pk), "COMMAND")


def test_a_password_set_by_command_stands_in_the_trail(db, monkeypatch, capsys):
    person = User.objects.create_user(username="eve")
    monkeypatch.setattr("getpass.getpass", lambda prompt: "a long password for tests")
    call_command("changepassword", "eve")
    entry = AuditEntry.objects.get(action="user.changed")
    assert (entry.subject_id, entry.actor_kind, entry.data) == (str(person.pk), "COMMAND", {"changed": ["password"]})


@pytest.mark.django_db
def test_a_command_that_stores_nobody_records_nothing(monkeypatch):
    with pytest.raises(Exception, match="does not exist"):
        call_command("changepassword", "nobody")
    assert not AuditEntry.objects.exists()
