"""The simulator's whole state in memory, each change written to the journal before the caller goes on."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .journal import Journal, Row
from .models import Account, Consumer, Conversation, Install, StoredFile

_COMPACT_OVER = 20_000


class State:
    """Accounts and files; the other parts keep their own rows through `put` and `rows_of`."""

    def __init__(self, data_dir: Path) -> None:
        self.files_dir = data_dir / "files"
        self.files_dir.mkdir(parents=True, exist_ok=True)
        self.accounts: dict[str, Account] = {}
        self.files: dict[str, StoredFile] = {}
        self.tables: dict[str, dict[str, Any]] = {}
        self.version = 0
        self._journal = Journal(data_dir / "state.jsonl")
        self._load()

    # -- reading

    def account(self, account_id: str) -> Account:
        """Return the account; one that is new comes into being here."""
        found = self.accounts.get(account_id)
        if found is None:
            found = self.accounts[account_id] = Account(account_id)
            self.save_account(found)
        return found

    def table(self, name: str) -> dict[str, Any]:
        """Rows of the parts that need no class of their own (phones, fault rules); change them with `put`."""
        return self.tables.setdefault(name, {})

    # -- writing

    def save_account(self, account: Account) -> None:
        self._write("account", account.id, asdict(account))

    def save_install(self, account: Account, install: Install) -> None:
        account.installs[install.client_id] = install
        account.revision += 1
        self._write("install", f"{account.id}/{install.client_id}", asdict(install))
        self.save_account(account)

    def remove_install(self, account: Account, client_id: str) -> None:
        del account.installs[client_id]
        account.revision += 1
        self._write("install", f"{account.id}/{client_id}", None)
        self.save_account(account)

    def save_consumer(self, account: Account, consumer: Consumer) -> None:
        account.consumers[consumer.ext_id] = consumer
        self._write("consumer", account.id, asdict(consumer))

    def save_conversation(self, account: Account, conversation: Conversation) -> None:
        account.index(conversation)
        self._write("conversation", account.id, conversation.to_row())

    def add_event(self, conversation: Conversation, event: dict[str, Any]) -> None:
        conversation.remember(event)
        self._write("event", f"{conversation.account}/{conversation.id}", event)

    def save_file(self, stored: StoredFile) -> None:
        self.files[stored.path] = stored
        self._write("file", stored.path, asdict(stored))

    def put(self, table: str, key: str, value: Any) -> None:
        _put(self.table(table), key, value)
        self._write(f"_{table}", key, value)

    def touch(self) -> None:
        """Tell the open pages that something that is not stored has changed (somebody types)."""
        self.version += 1

    def clear(self) -> None:
        self._journal.clear()
        for part in (self.accounts, self.files, self.tables):
            part.clear()
        shutil.rmtree(self.files_dir)
        self.files_dir.mkdir()
        self.version += 1

    # -- the journal

    def _write(self, table: str, key: str, value: Any) -> None:
        self.version += 1
        self._journal.put(table, key, value)

    def _load(self) -> None:
        read = 0
        for table, key, value in self._journal.rows():
            read += 1
            self._apply(table, key, value)
        if read > _COMPACT_OVER and read > 2 * sum(1 for _ in self._rows()):
            self._journal.compact(self._rows())

    def _apply(self, table: str, key: str, value: Any) -> None:
        if table.startswith("_"):
            _put(self.table(table[1:]), key, value)
            return
        if table == "file":
            self.files[key] = StoredFile(**value)
            return
        account_id, _, rest = key.partition("/")
        account = self.accounts.setdefault(account_id, Account(account_id))
        if table == "account":
            for name, member in value.items():
                setattr(account, name, member)
        elif table == "install":
            _put(account.installs, rest, value and Install(**value))
        elif table == "consumer":
            account.consumers[value["ext_id"]] = Consumer(**value)
        elif table == "conversation":
            self._apply_conversation(account, value)
        elif table == "event":
            account.conversations[rest].remember(value)

    @staticmethod
    def _apply_conversation(account: Account, row: dict[str, Any]) -> None:
        fresh = Conversation.from_row(row)
        known = account.conversations.get(fresh.id)
        if known:
            fresh.events, fresh.next_sequence = known.events, known.next_sequence
        account.index(fresh)

    def _rows(self) -> Iterator[Row]:
        for account in self.accounts.values():
            yield "account", account.id, asdict(account)
            for install in account.installs.values():
                yield "install", f"{account.id}/{install.client_id}", asdict(install)
            for consumer in account.consumers.values():
                yield "consumer", account.id, asdict(consumer)
            for conversation in account.conversations.values():
                yield "conversation", account.id, conversation.to_row()
                for event in conversation.events:
                    yield "event", f"{account.id}/{conversation.id}", event
        for path, stored in self.files.items():
            yield "file", path, asdict(stored)
        for name, rows in self.tables.items():
            for key, value in rows.items():
                yield f"_{name}", key, value


def _put(rows: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value
