"""Every address of the service. API paths carry no trailing slash."""

from django.contrib import admin
from django.urls import include, path, re_path

from captcha_site import account_pages, comparison_pages, metrics, openapi, problems, type_pages, views

urlpatterns = [
    path("", include("solving.urls")),  # first, as most requests are for it
    path("", views.home, name="home"),
    path("info", views.info, name="info"),
    path("health_check", views.health_check, name="health-check"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics.scrape, name="metrics"),
    path("favicon.ico", views.favicon),
    path("admin/", admin.site.urls),
    path("", include("solving.page_urls")),
    path("accounts/", account_pages.my_account, name="my-account"),
    path("accounts/data/", account_pages.my_data, name="my-data"),
    path("accounts/data/consent", account_pages.change_consent, name="change-consent"),
    path("accounts/data/export", account_pages.export_my_data, name="export-my-data"),
    path("accounts/types/", include("own_types.page_urls")),
    path("accounts/", include("accounts.page_urls")),
    path("types/", type_pages.models, name="models"),
    path("types/<slug:slug>/", type_pages.model, name="model"),
    path("types/<slug:slug>/compare/", comparison_pages.compare, name="compare-versions"),
    path("labeling/", include("labeling.urls")),
    path("jobs/", include("jobs.urls")),
    path("", include("accounts.urls")),
    path("api/schema/", openapi.schema, name="schema"),
    path("api/docs/", openapi.docs, name="docs"),
    re_path(r"^api/", problems.unknown_endpoint),
]

handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.not_found
handler500 = problems.server_error
