from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = "Conversations"

    def ready(self) -> None:
        from conversations import failures, health, receivers  # noqa: F401  (connects their receivers)
        from conversations.models import Consumer
        from installations import pausing
        from installations.models import PauseScope

        pausing.take_in(PauseScope.CONSUMER, Consumer)
