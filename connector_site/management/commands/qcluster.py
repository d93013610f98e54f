"""manage.py qcluster: one cluster, without the supervisor that `manage.py worker` adds."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from connector_site import cluster


class Command(BaseCommand):
    """Replaces django-q2's command of the same name."""

    help = "Runs one cluster of workers. `manage.py worker` runs it under supervision, which production needs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Stay until the cluster ends."""
        sys.exit(cluster.run())
