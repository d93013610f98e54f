"""The Django app of the site itself: what belongs to no single subject."""

from django.apps import AppConfig


class ConnectorSiteConfig(AppConfig):
    """Holds the workers' heartbeat, jobs over many rows, and the commands that start and check the whole."""

    name = "connector_site"
    verbose_name = "Site"

    def ready(self) -> None:
        from connector_site import idle, refused, traffic  # noqa: F401 -- connects their receivers
        from connector_site.bulk import receivers  # noqa: F401 -- connects them
