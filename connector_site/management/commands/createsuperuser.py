"""`manage.py createsuperuser`: Django's own, with a record in the trail."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from audit import api as audit
from connector_site.people_by_command import recorded
from core.actor import COMMAND


class Command(createsuperuser.Command):
    help = "Add a person who runs the whole site."

    def handle(self, *args: Any, **options: Any) -> None:
        with recorded(lambda person: audit.record("user.created", actor=COMMAND, subject=person)):
            super().handle(*args, **options)
