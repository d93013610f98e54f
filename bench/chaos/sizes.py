"""How much of everything: the short form for every change, the long one for a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Size:
    """is_long: also whether the aims, which need a machine to themselves, are measured."""

    is_long: bool
    acked: int
    acked_per_s: float
    kills: int
    events: int
    lanes: int
    lane_length: int
    doubtful: int
    kills_in_a_send: int
    outage_s: float
    idle_kills: int
    mutations: int


SHORT = Size(
    is_long=False,
    acked=3_000,
    acked_per_s=120,
    kills=9,
    events=1_000,
    lanes=10,
    lane_length=40,
    doubtful=200,
    kills_in_a_send=3,
    outage_s=60,
    idle_kills=3,
    mutations=600,
)
LONG = Size(
    is_long=True,
    acked=20_000,
    acked_per_s=120,
    kills=60,
    events=20_000,
    lanes=40,
    lane_length=100,
    doubtful=3_000,
    kills_in_a_send=24,
    outage_s=600,
    idle_kills=12,
    mutations=10_000,
)
