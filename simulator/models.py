"""What the simulator remembers: accounts, app installs, consumers, conversations, dialogs, files."""

import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

FILE_TYPES = ["JPG", "JPEG", "PNG", "GIF", "PDF", "DOCX", "PPTX", "XLSX"]
CONSUMER_FILE_MAX_BYTES = 3 * 1024 * 1024

DEFAULT_SWITCHES: dict[str, Any] = {
    "survey": False,
    "auto_messages": False,
    "already_open_status": 400,
    "retry": {"mode": None, "scale": 1.0},
    "signature": {"alg": "sha1", "enc": "base64"},
    "echo": True,
    "agent_newline": False,
    "files": {"enabled": True, "max_bytes": CONSUMER_FILE_MAX_BYTES, "types": ["JPG", "JPEG", "PNG", "GIF"]},
    "quirks": [],
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Install:
    """An app install: the manifest, and what LivePerson adds when it reads back."""

    client_id: str
    client_secret: str
    issued_at_s: int
    manifest: dict[str, Any]

    @property
    def enabled(self) -> bool:
        return bool(self.manifest.get("enabled", True))

    @property
    def webhooks(self) -> dict[str, Any]:
        return self.manifest.get("capabilities", {}).get("webhooks", {})

    def endpoint(self, key: str) -> dict[str, Any] | None:
        return self.webhooks.get(key)

    @property
    def retention_s(self) -> float | None:
        return self.webhooks.get("retry", {}).get("retention_time")


@dataclass
class Consumer:
    ext_id: str
    lp_id: str
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass
class Dialog:
    id: str
    type: str
    created_ms: int
    app_install_id: str
    participants: list[dict[str, str]]
    updated_ms: int
    state: str = "OPEN"
    ended_ms: int | None = None
    closed_by: str | None = None
    closed_cause: str | None = None


@dataclass
class Conversation:
    """One conversation; `events` are rows of their own in the journal, everything else is saved as a whole."""

    id: str
    account: str
    ext_consumer_id: str
    lp_consumer_id: str
    client_id: str
    started_ms: int
    updated_ms: int
    skill_id: str = "-1"
    ttr: dict[str, Any] = field(default_factory=lambda: {"ttrType": "NORMAL", "value": 1800})
    effective_ttr_ms: int = -1
    state: str = "OPEN"
    stage: str = "OPEN"
    close_reason: str | None = None
    ended_ms: int | None = None
    campaign: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    csat: dict[str, Any] | None = None
    features: list[str] = field(default_factory=list)
    client_properties: dict[str, Any] = field(default_factory=dict)
    participants: list[dict[str, str]] = field(default_factory=list)
    dialogs: list[Dialog] = field(default_factory=list)
    was_assigned: bool = False
    auto_messaged: bool = False
    survey_step: int = 0

    def __post_init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.next_sequence: dict[str, int] = {}
        self.chat_states: dict[str, dict[str, Any]] = {}

    @property
    def main(self) -> Dialog:
        return self.dialogs[0]

    def dialog(self, dialog_id: str) -> Dialog | None:
        return next((dialog for dialog in self.dialogs if dialog.id == dialog_id), None)

    @property
    def open_survey(self) -> Dialog | None:
        return next((d for d in self.dialogs if d.type == "POST_SURVEY" and d.state == "OPEN"), None)

    def participant(self, role: str) -> dict[str, str] | None:
        return next((one for one in self.participants if one["role"] == role), None)

    def remember(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        dialog_id = event["dialogId"]
        self.next_sequence[dialog_id] = max(self.next_sequence.get(dialog_id, 0), event["sequence"] + 1)

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Conversation":
        return cls(**{**row, "dialogs": [Dialog(**dialog) for dialog in row["dialogs"]]})


@dataclass
class Account:
    id: str
    switches: dict[str, Any] = field(default_factory=lambda: deepcopy(DEFAULT_SWITCHES))
    app_generation: int = 0
    consumer_generation: int = 0
    revision: int = 1

    def __post_init__(self) -> None:
        self.installs: dict[str, Install] = {}
        self.consumers: dict[str, Consumer] = {}
        self.conversations: dict[str, Conversation] = {}
        self.open_by_consumer: dict[str, str] = {}

    def index(self, conversation: Conversation) -> None:
        """Keep the one open conversation of a consumer; a survey still counts as open, as its stage is."""
        self.conversations[conversation.id] = conversation
        if conversation.stage == "OPEN":
            self.open_by_consumer[conversation.lp_consumer_id] = conversation.id
        elif self.open_by_consumer.get(conversation.lp_consumer_id) == conversation.id:
            del self.open_by_consumer[conversation.lp_consumer_id]


@dataclass
class StoredFile:
    """A place in Swift: made when its upload URL is asked for, filled by the PUT."""

    path: str
    account: str
    file_type: str
    max_bytes: int
    size: int | None = None
    content_type: str = "application/octet-stream"
