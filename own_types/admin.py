"""Types that wait for leave to train, and what was trained for credits."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from own_types import services
from own_types.models import Approval, Training


@admin.register(Approval)
class ApprovalAdmin(admin.ModelAdmin):
    list_display = ["captcha_type", "owner", "asked", "approved", "approved_by", "page"]
    list_filter = [("approved", admin.EmptyFieldListFilter)]
    list_select_related = ["captcha_type__owner", "approved_by"]
    search_fields = ["captcha_type__slug"]
    actions = ["approve"]

    @admin.display(description="owner")
    def owner(self, approval: Approval) -> str:
        return str(approval.captcha_type.owner)

    @admin.display(description="look at it")
    def page(self, approval: Approval) -> str:
        address = reverse("own-type", args=[approval.captcha_type.slug])
        return format_html('<a href="{}">labels and images</a>', address)

    @admin.action(description="Let the selected types be trained", permissions=["approve"])
    def approve(self, request: HttpRequest, approvals: QuerySet[Approval]) -> None:
        for approval in approvals:
            if services.approve(approval=approval, by=request.user):
                self.log_change(request, approval, "Let it be trained.")
                messages.success(request, f"{approval} may be trained.")

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("own_types.change_approval"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Training)
class TrainingAdmin(admin.ModelAdmin):
    list_display = ["__str__", "user", "state", "price", "version", "created", "ended", "page"]
    list_filter = ["state"]
    list_select_related = ["user", "version", "run"]
    search_fields = ["slug", "user__username"]
    show_full_result_count = False

    @admin.display(description="job")
    def page(self, training: Training) -> str:
        if training.run is None:
            return "–"
        return format_html(
            '<a href="{}">{}</a>', reverse("jobs:job", args=[training.run.pk]), training.run.state
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
