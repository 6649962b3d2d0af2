"""Addresses of the pages of private types, below /accounts/types/."""

from django.urls import path

from own_types import views

urlpatterns = [
    path("", views.types, name="own-types"),
    path("<slug:slug>/", views.own_type, name="own-type"),
    path("<slug:slug>/train", views.train, name="train-own-type"),
    path("<slug:slug>/training", views.training_state, name="own-training-state"),
    path("<slug:slug>/cancel", views.cancel, name="cancel-own-training"),
    path("<slug:slug>/promote", views.promote, name="promote-own-type"),
    path("<slug:slug>/delete", views.delete, name="delete-own-type"),
]
