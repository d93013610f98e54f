"""How much of everything: the short form for every change, the long one for a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Size:
    """is_long: also what takes minutes by its nature, and the aims, which need a machine to themselves."""

    is_long: bool
    acked: int
    acked_per_s: float
    kills: int
    events: int
    repeated_words: int
    lanes: int
    lane_length: int
    held_back_s: float
    lesson_s: float
    doubtful: int
    doubtful_per_s: float
    kills_in_a_send: int
    outage_s: float
    idle_kills: int
    mutations: int
    backup_age_s: float


SHORT = Size(
    is_long=False,
    acked=3_000,
    acked_per_s=100,
    kills=9,
    events=1_000,
    repeated_words=100,
    lanes=6,
    lane_length=25,
    held_back_s=5,
    lesson_s=10,
    doubtful=120,
    doubtful_per_s=10,
    kills_in_a_send=3,
    outage_s=60,
    idle_kills=4,
    mutations=500,
    backup_age_s=10,
)
LONG = Size(
    is_long=True,
    acked=20_000,
    acked_per_s=100,
    kills=60,
    events=20_000,
    repeated_words=2_000,
    lanes=30,
    lane_length=100,
    held_back_s=120,
    lesson_s=90,
    doubtful=3_000,
    doubtful_per_s=20,
    kills_in_a_send=24,
    outage_s=600,
    idle_kills=12,
    mutations=10_000,
    backup_age_s=600,
)
