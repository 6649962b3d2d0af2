"""Django's own admin, with the service's dashboard on its first page."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse


class DashboardConfig(AdminConfig):
    default_site = "captcha_site.admin_config.DashboardSite"

    def ready(self) -> None:
        super().ready()
        from captcha_site.admin_export import export_as_csv  # it needs the models

        admin.site.add_action(export_as_csv)


class DashboardSite(AdminSite):
    site_header = site_title = "Captcha Solving Service"
    index_title = "How the service is doing"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from captcha_site.dashboard import dashboard  # its models are not there when this class is loaded

        return super().index(request, (extra_context or {}) | {"dashboard": dashboard(request.user)})
