"""Addresses of the labelling pages, below /labeling/."""

from django.urls import path

from labeling import views

app_name = "labeling"

urlpatterns = [
    path("", views.types, name="types"),
    path("images/<uuid:assignment>", views.image, name="image"),
    path("<slug:slug>/", views.label, name="label"),
    path("<slug:slug>/claim", views.claim, name="claim"),
    path("<slug:slug>/operations", views.operations, name="operations"),
    path("<slug:slug>/release", views.release, name="release"),
]
