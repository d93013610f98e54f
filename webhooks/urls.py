from django.urls import path, re_path

from webhooks.views import ChannelWebhook, LivePersonWebhook, nowhere

urlpatterns = [
    path("liveperson/<uuid:installation_id>/", LivePersonWebhook.as_view(), name="liveperson-webhook"),
    re_path(
        r"^channels/(?P<channel_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<suffix>[\w./-]{0,64})$",
        ChannelWebhook.as_view(),
        name="channel-webhook",
    ),
    re_path(r"", nowhere),
]
