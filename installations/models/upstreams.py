"""The hosts that connectors call, once one of them gave trouble."""

from __future__ import annotations

from django.db import models

from access.models import BrandOwned
from core.breaker import Breaker, Phase, Window
from installations.models.accounts import AppInstallation

_PHASES = [
    (Phase.CLOSED.value, "Closed: calls go"),
    (Phase.OPEN.value, "Open: nobody calls"),
    (Phase.HALF_OPEN.value, "Half open: one call tries"),
]


class Upstream(BrandOwned):
    """
    One host that calls on behalf of an installation go to, once it gave trouble: its breaker, shared by all workers.

    Written by installations.breakers alone.
    """

    installation = models.ForeignKey(
        AppInstallation, on_delete=models.CASCADE, related_name="upstreams", help_text="On whose behalf it is called."
    )
    name = models.CharField(max_length=255, help_text="A service of LivePerson, or the host of a channel.")
    phase = models.CharField(max_length=16, choices=_PHASES, default=Phase.CLOSED.value, help_text="Of its breaker.")
    window = models.JSONField(default=list, help_text="Calls and failures of the last minute, in buckets.")
    failed_at = models.DateTimeField(null=True, help_text="When a call last failed.")
    opened_at = models.DateTimeField(null=True, help_text="Since when it is not called.")
    probe_at = models.DateTimeField(null=True, help_text="When the next probe may begin.")
    probe = models.PositiveBigIntegerField(default=0, help_text="Number of the last probe.")
    good_probes = models.PositiveIntegerField(default=0, help_text="Good probes in a row.")
    bad_probes = models.PositiveIntegerField(default=0, help_text="Failed probes since it opened.")
    held_until = models.DateTimeField(null=True, help_text="When the pause that it asked for ends.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["installation", "name"], name="upstream_once_per_installation"),
        ]

    def __str__(self) -> str:
        return self.name

    # Mutators

    def keep(self, breaker: Breaker) -> None:
        """Take over a breaker; the row is not saved by this."""
        self.phase = breaker.phase.value
        self.window = [list(bucket) for bucket in breaker.window.buckets]
        for name in _BREAKER_FACTS:
            setattr(self, name, getattr(breaker, name))

    # Properties

    @property
    def breaker(self) -> Breaker:
        return Breaker(
            phase=Phase(self.phase),
            window=Window(tuple((at, calls, failures) for at, calls, failures in self.window)),
            **{name: getattr(self, name) for name in _BREAKER_FACTS},
        )


_BREAKER_FACTS = ("opened_at", "probe_at", "probe", "good_probes", "bad_probes", "held_until")
