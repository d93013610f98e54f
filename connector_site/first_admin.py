"""The person `admin`, who exists from the first start in local mode."""

from django.conf import settings
from django.db import transaction

from access.models import User
from audit import api as audit
from connector_site import environment
from core.actor import COMMAND

NAME = "admin"


def ensure() -> None:
    """
    Add the person when there is none.

    A password that was changed on the site stays; one that the starter names in ADMIN_PASSWORD is set, because whoever
    starts the site may.
    """
    with transaction.atomic():
        admin = User.objects.select_for_update().filter(username=NAME).first()
        if admin is None:
            admin = User.objects.create_superuser(username=NAME, password=settings.ADMIN_PASSWORD)
            audit.record("user.created", actor=COMMAND, subject=admin)
        elif environment.was_given("ADMIN_PASSWORD") and not admin.check_password(settings.ADMIN_PASSWORD):
            admin.set_password(settings.ADMIN_PASSWORD)
            admin.save(update_fields=["password"])
            audit.record("user.changed", actor=COMMAND, subject=admin, data={"changed": ["password"]})


def how_to_sign_in() -> str:
    """A line for the person who started the site."""
    if environment.was_given("ADMIN_PASSWORD"):
        return f"user {NAME}, the password is the one in ADMIN_PASSWORD"
    if User.objects.get(username=NAME).check_password(settings.ADMIN_PASSWORD):
        return f"user {NAME}, password {settings.ADMIN_PASSWORD}"
    return f"user {NAME}, with the password that was set on the site"
