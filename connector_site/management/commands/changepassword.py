"""`manage.py changepassword`: Django's own, with a record in the trail."""

from typing import Any

from django.contrib.auth.management.commands import changepassword

from access.services import record_new_password
from connector_site.people_by_command import recorded
from core.actor import COMMAND


class Command(changepassword.Command):
    help = "Set a person's password."

    def handle(self, *args: Any, **options: Any) -> Any:
        with recorded(lambda person: record_new_password(person, actor=COMMAND)):
            return super().handle(*args, **options)
