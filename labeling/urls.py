"""Addresses of the labelling pages, below /labeling/."""

from django.urls import path

from labeling import data_views, views

app_name = "labeling"

urlpatterns = [
    path("", views.types, name="types"),
    path("images/<uuid:assignment>", views.image, name="image"),
    path("<slug:slug>/", views.label, name="label"),
    path("<slug:slug>/claim", views.claim, name="claim"),
    path("<slug:slug>/operations", views.operations, name="operations"),
    path("<slug:slug>/release", views.release, name="release"),
    path("<slug:slug>/import", data_views.import_, name="import"),
    path("<slug:slug>/export/<slug:to>", data_views.export, name="export"),
    path("<slug:slug>/datasets", data_views.datasets_, name="datasets"),
    path("<slug:slug>/datasets/freeze", data_views.freeze, name="freeze"),
    path("<slug:slug>/datasets/train", data_views.train, name="train"),
    path("<slug:slug>/datasets/training", data_views.training_state, name="training-state"),
    path("<slug:slug>/datasets/promote", data_views.promote, name="promote"),
    path("<slug:slug>/review", data_views.review, name="review"),
    path("<slug:slug>/review/<int:pk>", data_views.settle, name="settle"),
    path("<slug:slug>/review/<int:pk>/image", data_views.sample_image, name="sample-image"),
]
