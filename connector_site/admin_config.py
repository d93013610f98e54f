"""Puts our admin site in the place of the library's. Apart from the site itself, which may not be loaded this early."""

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "connector_site.admin_site.ConnectorAdminSite"
