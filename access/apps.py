from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
    verbose_name = "People and brands"

    def ready(self) -> None:
        from access import sessions  # noqa: F401  # late: its receiver needs the models
