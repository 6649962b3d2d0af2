"""Addresses of the solving endpoints, relative to the root."""

from django.urls import include, path

from solving import api, batches, converters, original, usage  # noqa: F401 (they register themselves)

urlpatterns = [
    path("upload_captcha", original.UploadCaptchaView.as_view(), name="upload_captcha"),
    path("api/v1/solves", api.SolvesView.as_view(), name="solves"),
    path("api/v1/solves/batch", batches.BatchView.as_view(), name="solves-batch"),
    path("api/v1/solves/<solve_id:pk>", api.PastSolveView.as_view(), name="solve"),
    path("api/v1/solves/<solve_id:pk>/report", api.ReportView.as_view(), name="solve-report"),
    path("api/v1/account/usage", usage.UsageView.as_view(), name="account-usage"),
    path("", include("solving.dialects.urls")),
    path("api/v1/captcha-types", api.CaptchaTypesView.as_view(), name="captcha-types"),
]
