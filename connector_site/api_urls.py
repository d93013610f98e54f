"""The REST API: one list a resource and its export, OpenAPI document, and pages to read that in."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from access.api_views import BrandList
from audit.api_views import AuditLogList
from connector_site.exports.api_views import export_of
from connector_site.find.api_views import FindView
from connector_site.trace.api_views import TraceList, TraceView
from connector_site.usage.api_views import UsageTable
from conversations.api_acts import DropDispatch, ResendDispatch, ResolveDispatch
from conversations.api_views import AttemptList, ConsumerList, ConversationList, DispatchList, MessageList
from installations.api_acts import PauseInstallation, ResumeInstallation
from installations.api_views import AccountList, ChannelList, InstallationList
from webhooks.api_views import DeliveryList

_READ = ["get", "head"]

router = SimpleRouter(use_regex_path=False)
router.register("brands", BrandList, basename="brand")
router.register("accounts", AccountList, basename="account")
router.register("installations", InstallationList, basename="installation")
router.register("channels", ChannelList, basename="channel")
router.register("consumers", ConsumerList, basename="consumer")
router.register("conversations", ConversationList, basename="conversation")
router.register("messages", MessageList, basename="message")
router.register("deliveries", DeliveryList, basename="delivery")
router.register("dispatches", DispatchList, basename="dispatch")
router.register("attempts", AttemptList, basename="attempt")
router.register("audit-log", AuditLogList, basename="audit-log")

acts = [
    path("dispatches/<uuid:pk>/resend/", ResendDispatch.as_view(), name="dispatch-resend"),
    path("dispatches/<uuid:pk>/resolve/", ResolveDispatch.as_view(), name="dispatch-resolve"),
    path("dispatches/<uuid:pk>/drop/", DropDispatch.as_view(), name="dispatch-drop"),
    path("installations/<uuid:pk>/pause/", PauseInstallation.as_view(), name="installation-pause"),
    path("installations/<uuid:pk>/resume/", ResumeInstallation.as_view(), name="installation-resume"),
]
exports = [
    path(f"{name}/export/", export_of(view).as_view({"get": "list"}, basename=basename), name=f"{basename}-export")
    for name, view, basename in router.registry
]

urlpatterns = [
    path("", include(acts)),
    path("", include(exports)),
    path("", include(router.urls)),
    path("usage/", UsageTable.as_view(), name="usage"),
    path("find/", FindView.as_view(), name="find"),
    path("messages/<uuid:pk>/trace/", TraceView.as_view(), name="trace"),
    path("trace/", TraceList.as_view(), name="trace-list"),
    # The version is given, or the library takes it from the query and writes it into a header unchecked.
    path("schema/", SpectacularAPIView.as_view(http_method_names=_READ, api_version="1"), name="schema"),
    # The split view keeps its script in a request of its own: nothing inline for a content policy to allow.
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=_READ), name="docs"),
]
