"""manage.py worker: the workers, under supervision."""

from typing import Any

from django.core.management.base import BaseCommand

from connector_site.worker import Worker


class Command(BaseCommand):
    """One per machine is usual; several share the work through the database alone."""

    help = "Runs the workers under supervision: restarts them when they die or hang, and sweeps for due work."

    def handle(self, *args: Any, **options: Any) -> None:
        """Stay until SIGTERM or Ctrl-C."""
        from connector_site import upkeep
        from connector_site.bulk import running
        from webhooks import services

        beside = upkeep.walkers()

        def sweep() -> None:
            services.sweep()
            running.sweep()
            for one in beside:
                one.work()

        Worker(sweep=sweep).run()
