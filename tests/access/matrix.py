"""The stage of the matrix: two brands, people in every role, and an eye on each answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.http import HttpResponseBase
from django.test import Client

from access.models import ApiKey, Role, User
from audit.models import AuditEntry
from tests.access.keys import Program
from tests.factories import World, make_superuser, make_two_brands, make_user

LOOKING = ("access.refused", "message.content_read", "delivery.body_read")


@dataclass(frozen=True, kw_only=True)
class Part:
    """
    Somebody in a role.

    sees: the worlds whose rows they may see. may_change: whether they may change rows of these.
    """

    name: str
    user: User | None
    sees: tuple[World, ...]
    may_change: bool = False
    runs_the_site: bool = False

    @property
    def may_enter(self) -> bool:
        return bool(self.sees)

    def __str__(self) -> str:
        return self.name


@dataclass(kw_only=True)
class Stage:
    """cells: how many answers were judged. leaks: what stood in an answer and should not have."""

    amber: World
    birch: World
    parts: list[Part]
    cells: int = 0
    leaks: list[str] = field(default_factory=list)
    _clients: dict[str, Client] = field(default_factory=dict)
    _programs: dict[str, Client] = field(default_factory=dict)

    @property
    def worlds(self) -> tuple[World, World]:
        return self.amber, self.birch

    @property
    def lookers(self) -> list[Part]:
        """One person for each set of brands that can be seen: for what depends on nothing else."""
        return [part for part in self.parts if part.may_enter and not part.may_change]

    @property
    def workers(self) -> list[Part]:
        """Somebody of each brand who may change it, once as operator and once as owner."""
        return [part for part in self.parts if part.user in (self.amber.operator, self.birch.owner)]

    def other(self, world: World) -> World:
        return self.birch if world is self.amber else self.amber

    def client(self, part: Part) -> Client:
        """The browser of this person."""
        if part.name not in self._clients:
            client = Client(raise_request_exception=False)
            if part.user is not None:
                client.force_login(part.user)
            self._clients[part.name] = client
        return self._clients[part.name]

    def program(self, part: Part) -> Client:
        """A program with this person's key."""
        if part.name not in self._programs:
            self._programs[part.name] = (
                Program(part.user, name=f"program of {part.name}")
                if part.user is not None
                else Client(raise_request_exception=False)
            )
        return self._programs[part.name]

    def ask(
        self, part: Part, method: str, url: str, data: Any = None, *, by_key: bool = False, **more: Any
    ) -> HttpResponseBase:
        """One cell: the answer, after it was searched for what this person may not see."""
        client = self.program(part) if by_key else self.client(part)
        # What an earlier answer wanted to say on the next page would make equal answers differ.
        client.cookies.pop("messages", None)
        answer: HttpResponseBase = getattr(client, method)(url, data if data is not None else {}, **more)
        self.judge(part, answer, asked=f"{url} {json.dumps(data, default=str)} {more}", label=f"{part} {method} {url}")
        return answer

    def judge(self, part: Part, answer: HttpResponseBase, *, asked: str, label: str) -> None:
        """Count a cell; what the asker put into the request may come back, nothing else of a brand they do not see."""
        self.cells += 1
        assert answer.status_code < 500, f"{label}: {answer.status_code}"
        shown, asked = told_by(answer).lower(), asked.lower()
        for world in self.worlds:
            hidden = secrets_of(world)
            if world not in part.sees:
                hidden |= {canary.lower() for canary in world.canaries}
            found = [word for word in hidden if word in shown and word not in asked]
            if found:
                self.leaks.append(f"{label}: {answer.status_code}, shows {found[0]!r} of {world.mark}")

    def follow(self, part: Part, answer: HttpResponseBase) -> None:
        """Judge the page that an answer leads to as well: messages about what was done stand there."""
        if answer.status_code in (301, 302, 303) and "/login/" not in answer["Location"]:
            next_page = self.client(part).get(answer["Location"], follow=True)
            self.judge(part, next_page, asked=answer["Location"], label=f"{part} after {answer['Location']}")


def make_stage() -> Stage:
    """Two brands, and everybody who might come."""
    amber, birch = make_two_brands()
    parts = [
        Part(name="anonymous", user=None, sees=()),
        Part(name="somebody without a role", user=make_user("nobody"), sees=()),
        *(
            Part(name=f"{role} of {world.brand.slug}", user=getattr(world, role), sees=(world,), may_change=may_change)
            for world in (amber, birch)
            for role, may_change in (("auditor", False), ("operator", True), ("owner", True))
        ),
        Part(name="auditor of all brands", user=make_user("auditor", role=Role.AUDITOR), sees=(amber, birch)),
        Part(
            name="superuser", user=make_superuser(), sees=(amber, birch), may_change=True, runs_the_site=True
        ),
    ]  # fmt: skip
    stage = Stage(amber=amber, birch=birch, parts=parts)
    for part in parts:
        # Signing in and making keys write rows; the matrix itself must not.
        stage.client(part)
        stage.program(part)
    return stage


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside never happened."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# --- what an answer tells --------------------------------------------------------------------------------------------


def told_by(answer: HttpResponseBase) -> str:
    """Body and headers as one text."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    return f"{answer.headers} {body.decode('utf-8', 'replace')}"


def secrets_of(world: World) -> set[str]:
    """What nobody is ever shown, not even who runs the site."""
    mark = world.mark.lower()
    return {world.client_secret.lower(), world.channel_secret.lower(), f"eyj.app.{mark}", f"eyj.consumer.{mark}"}


_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}"
    r"|name=\"csrfmiddlewaretoken\" value=\"\w+\"|csrfToken[^,]*|nonce=\"[^\"]+\"",
    re.IGNORECASE,
)


def shape_of(answer: HttpResponseBase) -> tuple[int, str, str]:
    """An answer without what differs from one request to the next: ids, tokens against forgery."""
    location = answer.headers.get("Location", "")
    return answer.status_code, _VARIABLE.sub("#", location), _VARIABLE.sub("#", _body_of(answer))


def _body_of(answer: HttpResponseBase) -> str:
    return "" if answer.streaming else answer.content.decode("utf-8", "replace")  # type: ignore[attr-defined]


# --- what the database holds -----------------------------------------------------------------------------------------


USE_OF_KEY = "{last_used_at,last_used_from,window_at,window_count}"


def state_of(world: World) -> dict[str, str]:
    """A digest of each table's rows of a brand: whatever changes one of them changes it."""
    people = User.objects.filter(pk__in=[row.pk for row in world.rows if isinstance(row, User)])
    of_brand = {
        model: _rows_of(model).filter(**{model.brand_path: world.brand.pk})
        for model in apps.get_models()
        if hasattr(model, "brand_path")
    }
    return _digests(*_statement({**of_brand, User: people}))


def state_of_everything() -> dict[str, str]:
    """A digest of every table but those of sessions, and without what every use of a key writes."""
    return _digests(*_statement_of_everything())


@cache
def _statement_of_everything() -> tuple[str, list[Any]]:
    skipped = {"django_session"}
    return _statement({model: _rows_of(model) for model in apps.get_models() if model._meta.db_table not in skipped})


def _rows_of(model: type[models.Model]) -> models.QuerySet[Any]:
    """What looking does not add to: the trail tells who read what was said, and who looked where they may not."""
    rows = model._default_manager.all()
    return rows.exclude(action__in=LOOKING) if model is AuditEntry else rows


def _statement(tables: dict[type[models.Model], models.QuerySet[Any]]) -> tuple[str, list[Any]]:
    """One for all tables: the matrix asks thousands of times."""
    parts, parameters = [], []
    for model, rows in tables.items():
        table, key = model._meta.db_table, model._meta.pk.column
        try:
            inner, own = rows.order_by().values_list("pk").query.sql_with_params()
        except models.query.EmptyResultSet:  # type: ignore[attr-defined]
            inner, own = "NULL", ()
        text = f"(to_jsonb(t) - '{USE_OF_KEY}'::text[])::text" if model is ApiKey else "t::text"
        digest = f"md5(string_agg({text}, '|' ORDER BY t.{key}::text))"
        parts.append(f"SELECT '{table}', {digest} FROM {table} t WHERE t.{key} IN ({inner})")
        parameters += own
    return " UNION ALL ".join(parts), parameters


def _digests(statement: str, parameters: list[Any]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return dict(cursor.fetchall())
