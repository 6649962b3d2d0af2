"""Addresses of the pages of jobs, below /jobs/."""

from django.urls import path

from jobs import views

app_name = "jobs"

urlpatterns = [
    path("<int:pk>", views.job, name="job"),
    path("<int:pk>/state", views.state, name="state"),
    path("<int:pk>/cancel", views.cancel, name="cancel"),
]
