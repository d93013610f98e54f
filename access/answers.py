"""Acts that programs may repeat without harm: what was done once is answered again, and not done again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from access.models import ApiKey, KeptAnswer


class AnotherRequest(Exception):
    """The key has named another request like this before."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """text: the JSON of the answer. is_repeated: it was done before, and was not done now."""

    text: str
    is_repeated: bool


@transaction.atomic
def answer_once(
    *, key: ApiKey, idempotency_key: str, digest: bytes, check: Callable[[], None], act: Callable[[], str]
) -> Answered:
    """
    Do an act, unless this key has asked for it by this name before; act returns the JSON of its answer.

    check: raises where the key may not ask for it any more. It is called when the key can no longer be revoked before
    the act is done: who revokes it waits for the end of this transaction, and what comes after is refused.

    Of two at once the second waits in the database until the first is done, and gets its answer. An act that raises
    leaves nothing behind: it may be asked for again. Raises AnotherRequest where the name stands for something else.
    """
    kept, is_first = KeptAnswer.objects.get_or_create(
        key=key, idempotency_key=idempotency_key, defaults={"digest": digest, "answer": ""}
    )
    check()  # behind the row that holds on to the key
    if bytes(kept.digest) != digest:
        raise AnotherRequest
    if is_first:
        kept.answer = act()
        kept.save(update_fields=["answer"])
    return Answered(text=kept.answer, is_repeated=not is_first)
