"""What other packages may want to know of connectors. Receivers run in the transaction of the act."""

from __future__ import annotations

from django.dispatch import Signal

# Sent when an installation or one of its channels may send again, with its installation_id.
sending_resumed = Signal()

# Asks what is to be said about an installation's health; receivers return a list of installations.findings.Finding.
# installation: which one. now: the time.
health_asked = Signal()

# The same of one channel; receivers return findings as well. channel: which one. now: the time.
channel_health_asked = Signal()

# Asks when app installations or channels last sent something; receivers return {id: when, or None}. source_ids: which.
arrivals_asked = Signal()

# Asks which tries of an app installation or a channel lately failed; receivers return a list of
# installations.failures.Failure, newest first. row: which one. now: the time.
failures_asked = Signal()

# Asks for the plots of an app installation or a channel; receivers return a list of what admin/parts/chart.html shows.
# row: which one.
traffic_asked = Signal()

# Asks how much waits because an upstream of an installation does not answer; receivers return a number.
# installation: which one.
waiting_asked = Signal()

# Asks which secrets of an installation or a channel its webhooks used lately; receivers return
# {secret id: installations.secret_use.SecretUse}. source_id: of the installation or channel. since: when counting
# begins, None for never.
secret_use_asked = Signal()

# Sent when a pause has ended, in the transaction of its end: pause.
pause_ended = Signal()
