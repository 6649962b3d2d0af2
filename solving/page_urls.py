"""Addresses of the pages that show solves, relative to the root."""

from django.urls import path

from solving import history_pages, views

urlpatterns = [
    path("playground", views.playground, name="playground"),
    path("playground/<solve_id:pk>/report", views.report, name="report-answer"),
    path("try", views.try_sample, name="try-sample"),
    path("accounts/history/", history_pages.history, name="history"),
    path("accounts/history/csv", history_pages.as_csv, name="history-csv"),
]
