"""Mounts every app."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from connector_site import errors

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("webhooks/", include("webhooks.urls")),
    path("api/v1/", include("connector_site.api_urls")),
    path("files/", include("conversations.urls")),
]  # and /healthz, /readyz, /metrics, which connector_site.middleware.Probes answers

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
