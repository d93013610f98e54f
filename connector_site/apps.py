"""The Django app of the site itself: what belongs to no single subject."""

from django.apps import AppConfig


class ConnectorSiteConfig(AppConfig):
    """Holds the workers' heartbeat and the commands that start and check the whole."""

    name = "connector_site"
    verbose_name = "Site"
