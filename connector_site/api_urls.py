"""The REST API: one list a resource, its OpenAPI document, and pages to read that in."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from conversations.api_views import ConversationList, MessageList

_READ = ["get", "head"]

router = SimpleRouter(use_regex_path=False)
router.register("conversations", ConversationList, basename="conversation")
router.register("messages", MessageList, basename="message")

urlpatterns = [
    path("", include(router.urls)),
    # The version is given, or the library takes it from the query and writes it into a header unchecked.
    path("schema/", SpectacularAPIView.as_view(http_method_names=_READ, api_version="1"), name="schema"),
    # The split view keeps its script in a request of its own: nothing inline for a content policy to allow.
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=_READ), name="docs"),
]
