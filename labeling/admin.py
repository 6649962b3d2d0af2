"""Who labels what, and the people that checks have paused."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from labeling.models import Dataset, Membership
from labeling.quality import let_on, quality_of


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["person", "captcha_type", "checks", "paused_at"]
    list_filter = ["captcha_type", ("paused_at", admin.EmptyFieldListFilter)]
    search_fields = ["person__username"]
    autocomplete_fields = ["person"]
    fields = ["captcha_type", "person", "paused_at"]
    readonly_fields = ["paused_at"]
    list_select_related = ["person", "captcha_type"]
    actions = ["let_go_on"]

    @admin.display(description="checks read rightly")
    def checks(self, membership: Membership) -> str:
        quality = quality_of(membership.person, membership.captcha_type)
        return f"{quality.right} of the last {quality.n}" if quality.n else "none yet"

    @admin.action(description="Let them go on")
    def let_go_on(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for membership in queryset:
            let_on(membership=membership)


@admin.register(Dataset)
class DatasetAdmin(admin.ModelAdmin):
    list_display = ["captcha_type", "number", "content_hash", "made_by", "created"]
    list_filter = ["captcha_type"]
    search_fields = ["captcha_type__slug", "content_hash__startswith"]
    date_hierarchy = "created"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
