"""The numbers of the first page, as it shows them: each with what it means, and a link to the rows behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector_site.models import Figure
from connector_site.overview.links import CONVERSATIONS, DELIVERIES, DISPATCHES, MESSAGES, Links
from connector_site.overview.now import Waiting
from connector_site.overview.words import capped, duration, percentile, waited
from connector_site.rollups.buckets import ACK_LIMIT_MS, ACK_MS, THROUGH_MS
from connector_site.rollups.series import Figures
from conversations.models import DispatchState
from conversations.selectors import MOST_UNSETTLED, UNSETTLED_STATES
from core.errors import hint_of

DIRECTIONS = {"TO_LIVEPERSON": "to LivePerson", "TO_CHANNEL": "to channels"}
ENDS = ("FAILED", "DEAD", "DROPPED")
_MOST_CAUSES = 12
_UNSETTLED = {
    "UNKNOWN": ("wait", "Waits for evidence whether it arrived; holds up this consumer's messages."),
    "PARKED": ("bad", "Waits for a person: send it again, drop it, or mark it as sent."),
    "DEAD": ("bad", "Tried often enough, or for long enough. Can be sent again."),
}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """url: empty where no row stands behind the number."""

    label: str
    value: str
    detail: str = ""
    tone: str = "plain"
    url: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why sends came to a bad end, how often, and what somebody can do. ends: by state, number and link."""

    direction: str
    label: str
    hint: str
    ends: list[tuple[int, str]]

    @property
    def total(self) -> int:
        return sum(count for count, _ in self.ends)


@dataclass(frozen=True, kw_only=True)
class BrandLine:
    """One brand in the table of all. cells: text, link and tone."""

    name: str
    url: str
    cells: list[tuple[str, str, str]]


# --- now -------------------------------------------------------------------------------------------------------------


def _waited_for_send(waiting: Waiting, now: datetime) -> tuple[str, str]:
    for_s, tone = waited(waiting.lanes_since, now)
    if not waiting.held_up:
        return for_s, tone
    return " · ".join(filter(None, (for_s, f"{capped(waiting.held_up)} held up"))), "bad" if tone == "bad" else "wait"


def _waiting_in_a_line(waiting: Waiting, now: datetime) -> str:
    due = f"{capped(waiting.lanes)} {waited(waiting.lanes_since, now)[0]}" if waiting.lanes else ""
    held_up = f"{capped(waiting.held_up)} held up" if waiting.held_up else ""
    return " · ".join(filter(None, (due, held_up))) or "0"


def of_now(waiting: Waiting, unsettled: dict[str, int], links: Links, *, now: datetime) -> list[Tile]:
    """What waits for a worker or for a person."""
    for_s, tone = _waited_for_send(waiting, now)
    stored_s, stored_tone = waited(waiting.deliveries_since, now)
    return [
        Tile(
            label="consumers wait for a send", value=capped(waiting.consumers), detail=for_s, tone=tone,
            url=links.now(DISPATCHES, state="QUEUED"),
            hint="Something is to be sent to them, or for them. Held up: it waits for a pause to end, a host to answer "
            "again, or its next try.",
        ),
        Tile(
            label="webhooks wait to be applied", value=capped(waiting.deliveries), detail=stored_s, tone=stored_tone,
            url=links.now(DELIVERIES, state="STORED"), hint="Stored and answered; a worker applies them next.",
        ),
        Tile(
            label="webhooks not applied", value=capped(waiting.dead + waiting.quarantined, MOST_UNSETTLED),
            tone="bad" if waiting.dead else "plain",
            url=links.now(DELIVERIES, state="DEAD" if waiting.dead else "QUARANTINED"),
            hint="Authentic, but they cannot be read (quarantined), or an error of ours keeps them from it (dead).",
        ),
        *[
            Tile(
                label=f"{DispatchState(state).label} sends".lower(),
                value=capped(unsettled.get(state, 0), MOST_UNSETTLED),
                tone=_UNSETTLED[state][0] if unsettled.get(state) else "plain",
                url=links.now(DISPATCHES, state=state), hint=_UNSETTLED[state][1],
            )
            for state in UNSETTLED_STATES
        ],
    ]  # fmt: skip


# --- a time range ----------------------------------------------------------------------------------------------------


def of_range(figures: Figures, links: Links) -> list[Tile]:
    """What happened: traffic, how long it took, what did not go through."""
    return [
        *(_carried(figures, links, direction) for direction in DIRECTIONS),
        Tile(
            label="webhooks from LivePerson", value=f"{figures.total(Figure.DELIVERIES_FROM_LIVEPERSON):,}",
            detail=_refused(figures), url=links.lately(DELIVERIES),
            hint="Authentic requests that were stored. What was refused is not, so there is no list of it.",
        ),
        Tile(
            label="conversations opened", value=f"{figures.total(Figure.CONVERSATIONS):,}",
            url=links.lately(CONVERSATIONS),
        ),
        _ack(figures, links),
        *(_through(figures, links, direction) for direction in DIRECTIONS),
        _bad_ends(figures, links),
    ]  # fmt: skip


def _carried(figures: Figures, links: Links, direction: str) -> Tile:
    return Tile(
        label=f"messages {DIRECTIONS[direction]}",
        value=f"{figures.total(Figure(f'MESSAGES_{direction}')):,}",
        detail=f"{figures.total(Figure(f'SENT_{direction}')):,} sends accepted",
        url=links.lately(MESSAGES, direction=direction),
        hint="What was said. A long text is several sends, a receipt or typing is one too.",
    )


def _refused(figures: Figures) -> str:
    found = figures.by_label(Figure.REFUSED_TO_LIVEPERSON)
    told = ", ".join(f"{count:,} × {status}" for status, count in sorted(found.items()))
    return f"refused: {told}" if told else "none refused"


def _ack(figures: Figures, links: Links) -> Tile:
    """How far the answers to LivePerson are from the limit after which it counts a webhook as failed."""
    p99, within = (
        figures.percentile_ms(Figure.ACK_TO_LIVEPERSON, 0.99),
        figures.share_within(Figure.ACK_TO_LIVEPERSON, ACK_LIMIT_MS),
    )
    tone = "plain"
    if p99 is None or within is None:
        detail = "no webhook was answered"
    elif p99 > ACK_LIMIT_MS:
        detail, tone = f"{100 * within:.4g} % within LivePerson's {duration(ACK_LIMIT_MS)}", "bad"
    else:
        detail = f"{duration(ACK_LIMIT_MS - p99)} below LivePerson's {duration(ACK_LIMIT_MS)}"
        tone = "good" if p99 <= ACK_LIMIT_MS / 2 else "wait"
    return Tile(
        label="webhook answered, p99",
        value=percentile(figures, Figure.ACK_TO_LIVEPERSON, 0.99, ACK_MS),
        detail=f"p50 {percentile(figures, Figure.ACK_TO_LIVEPERSON, 0.5, ACK_MS)} · {detail}",
        tone=tone,
        url=links.lately(DELIVERIES),
        hint="Measured in the web processes, from the whole request being there to the answer. After 2.5 s LivePerson "
        "counts a webhook as failed. A percentile is the upper edge of its bucket.",
    )


def _through(figures: Figures, links: Links, direction: str) -> Tile:
    figure = Figure(f"THROUGH_{direction}")
    return Tile(
        label=f"end to end {DIRECTIONS[direction]}, p99",
        value=percentile(figures, figure, 0.99, THROUGH_MS),
        detail=f"p50 {percentile(figures, figure, 0.5, THROUGH_MS)}",
        url=links.lately(MESSAGES, direction=direction),
        hint="From the webhook that brought a message to the acceptance of each of its parts, retries and waiting "
        "included. A percentile is the upper edge of its bucket.",
    )


def _bad_ends(figures: Figures, links: Links) -> Tile:
    failed, dead = (figures.total(*(Figure(f"{end}_{one}") for one in DIRECTIONS)) for end in ("FAILED", "DEAD"))
    sent = figures.total(*(Figure(f"SENT_{one}") for one in DIRECTIONS))
    share = f"{100 * (failed + dead) / (failed + dead + sent):.2g} % of all ends" if failed + dead else "none"
    return Tile(
        label="failed or dead",
        value=f"{failed + dead:,}",
        detail=share,
        tone="bad" if failed + dead else "good",
        url=links.lately(DISPATCHES, state="FAILED" if failed >= dead else "DEAD"),
        hint="Sends that the other side will not take, or that were tried often enough. By cause: below.",
    )


# --- by cause, by brand ----------------------------------------------------------------------------------------------


def causes(figures: Figures, links: Links) -> list[Cause]:
    """The most frequent reasons for bad ends, both ways."""
    found = [
        Cause(
            direction=direction,
            label=(code or "no_cause_told").replace("_", " "),
            hint=hint_of(code),
            ends=[
                (figures.counts.get((f"{end}_{direction}", code), 0), links.ended(end, direction, code)) for end in ENDS
            ],
        )
        for direction in DIRECTIONS
        for code in figures.by_label(*(Figure(f"{end}_{direction}") for end in ENDS))
    ]
    return sorted(found, key=lambda cause: -cause.total)[:_MOST_CAUSES]


BRAND_COLUMNS = (
    "To LivePerson", "To channels", "Webhooks", "Answered p99", "Through → p99", "Through ← p99", "Failed, dead",
    "Waiting", "Unknown", "Parked",
)  # fmt: skip


def brand_cells(
    figures: Figures, waiting: Waiting, unsettled: dict[str, int], links: Links, *, now: datetime
) -> list[tuple[str, str, str]]:
    """One brand's numbers, in the order of BRAND_COLUMNS: text, link, tone."""
    ack, bad = _ack(figures, links), _bad_ends(figures, links)
    there, back = (_through(figures, links, direction) for direction in DIRECTIONS)
    _, tone = _waited_for_send(waiting, now)
    unknown, parked = unsettled.get("UNKNOWN", 0), unsettled.get("PARKED", 0)
    return [
        *(
            (f"{figures.total(Figure(f'MESSAGES_{one}')):,}", links.lately(MESSAGES, direction=one), "plain")
            for one in DIRECTIONS
        ),
        (f"{figures.total(Figure.DELIVERIES_FROM_LIVEPERSON):,}", links.lately(DELIVERIES), "plain"),
        (ack.value, ack.url, ack.tone),
        (there.value, there.url, "plain"),
        (back.value, back.url, "plain"),
        (bad.value, bad.url, bad.tone if bad.value != "0" else "plain"),
        (_waiting_in_a_line(waiting, now), links.now(DISPATCHES, state="QUEUED"), tone),
        (capped(unknown, MOST_UNSETTLED), links.now(DISPATCHES, state="UNKNOWN"), "wait" if unknown else "plain"),
        (capped(parked, MOST_UNSETTLED), links.now(DISPATCHES, state="PARKED"), "bad" if parked else "plain"),
    ]
