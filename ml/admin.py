"""Types and model versions in the admin: what serves, how well it reads; promote, roll back, shadow."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from ml import services
from ml.models import CaptchaType, Evaluation, ModelVersion, Promotion
from ml.promotion import plan_promotion
from ml.selectors import accuracy_of, shadow_score

STYLES = {"all": ["ml/admin.css"]}
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A report is a file made by a training run: it may show itself, not run a script nor call anything."""


class ReasonForm(forms.Form):
    """Why a version is promoted or rolled back; the log keeps it."""

    reason = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"class": "vTextField"}))


class PromoteForm(ReasonForm):
    force = forms.BooleanField(
        required=False,
        label="Promote it all the same",
        help_text="The log keeps that it was forced, the reason, and what spoke against it.",
    )


@admin.register(CaptchaType)
class CaptchaTypeAdmin(admin.ModelAdmin):
    """A type is switched off by `active`; it is not deleted, since its models name it."""

    list_display = ["slug", "title", "visibility", "serving", "exact_match", "load_state", "active"]
    change_form_template = "admin/ml/captchatype/change_form.html"
    list_filter = ["active", "arithmetic"]
    search_fields = ["slug", "title"]
    raw_id_fields = ["owner"]

    class Media:
        css = STYLES

    def get_queryset(self, request: HttpRequest) -> QuerySet[CaptchaType]:
        serving = ModelVersion.objects.filter(state=ModelVersion.State.SERVING)
        types = super().get_queryset(request).select_related("owner")
        return types.prefetch_related(Prefetch("versions", serving, to_attr="serving_versions"))

    def get_readonly_fields(self, request: HttpRequest, obj: CaptchaType | None = None) -> list[str]:
        return ["slug"] if obj is not None else []  # it names the folders of the type's models

    def has_delete_permission(self, request: HttpRequest, obj: CaptchaType | None = None) -> bool:
        return False

    @admin.display(description="seen by", ordering="owner")
    def visibility(self, captcha_type: CaptchaType) -> str:
        return f"{captcha_type.owner} only" if captcha_type.owner else "everybody"

    @admin.display(description="serving version")
    def serving(self, captcha_type: Any) -> str:
        return ", ".join(str(version) for version in captcha_type.serving_versions) or "none"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of a type, with a button that rolls its reader back where something served before."""
        context = dict(extra_context or {})
        captcha_type = self.get_object(request, unquote(object_id))  # None for what is no number, too
        if captcha_type is not None and request.user.has_perm("ml.change_modelversion"):
            serving = captcha_type.versions.filter(state=ModelVersion.State.SERVING).first()
            before = services.version_before(serving.slug) if serving is not None else None
            if serving is not None and before is not None:
                context |= {"roll_back_from": serving, "roll_back_to": before}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="loads")
    def load_state(self, captcha_type: Any) -> str:
        errors = [version.load_error for version in captcha_type.serving_versions if version.load_error]
        if not errors:
            return "yes" if captcha_type.serving_versions else ""
        return format_html('<span class="load-error">{}</span>', errors[0])

    @admin.display(description="exact match (95 % interval)")
    def exact_match(self, captcha_type: Any) -> str:
        versions = captcha_type.serving_versions
        return str((versions and accuracy_of(versions[0].metrics)) or "not measured")


class PromotionInline(admin.TabularInline):
    """The log of a version's promotions; nobody edits it."""

    model = Promotion
    fk_name = "version"
    extra = 0
    readonly_fields = ["created", "replaced", "rolled_back", "forced", "by", "reason", "grounds"]
    fields = tuple(readonly_fields)
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Promotion]:
        return super().get_queryset(request).select_related("version", "replaced", "by")


class EvaluationInline(admin.TabularInline):
    """How the version did on images that it had not seen; commands write it."""

    model = Evaluation
    extra = 0
    readonly_fields = ["created", "figures", "data_set", "split", "made_by"]
    fields = tuple(readonly_fields)
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="right (95 % interval)")
    def figures(self, evaluation: Evaluation) -> str:
        return str(evaluation)

    @admin.display(description="data set")
    def data_set(self, evaluation: Evaluation) -> str:
        return evaluation.dataset_hash[:12]


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    """Versions come from `install_models` and from training; here it is decided which of them serve."""

    list_display = [
        "name", "state", "exact_match", "load_state", "shadow", "origin", "registered_at", "promoted_at",
    ]  # fmt: skip
    list_filter = ["state", "kind", "origin"]
    search_fields = ["slug"]
    inlines = [EvaluationInline, PromotionInline]
    actions = ["promote_selected", "roll_back_selected", "start_shadow_selected", "stop_shadow_selected"]
    readonly_fields = [
        "name", "kind", "captcha_type", "state", "steps", "exact_match", "load_state", "in_shadow", "origin",
        "folder", "sha256", "registered_at", "promoted_at", "promoted_by", "report", "readable_spec",
    ]  # fmt: skip
    fields = tuple(readonly_fields)
    list_select_related = ["captcha_type"]

    class Media:
        css = STYLES

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelVersion | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/promote/", view(self.promote_view), name="ml_modelversion_promote"),
            path("<int:pk>/roll_back/", view(self.roll_back_view), name="ml_modelversion_roll_back"),
            path("<int:pk>/report/", view(self.report_view), name="ml_modelversion_report"),
        ]
        return own + super().get_urls()

    @admin.display(description="version", ordering="slug")
    def name(self, version: ModelVersion) -> str:
        return str(version)

    @admin.display(description="exact match (95 % interval)")
    def exact_match(self, version: ModelVersion) -> str:
        return str(accuracy_of(version.metrics) or "not measured")

    @admin.display(description="loads")
    def load_state(self, version: ModelVersion) -> str:
        if not version.load_error:
            return "yes" if version.state == ModelVersion.State.SERVING else ""
        return format_html('<span class="load-error">{}</span>', version.load_error)

    @admin.display(description="change it")
    def steps(self, version: ModelVersion) -> str:
        if version.state == ModelVersion.State.SERVING:
            step, text = "roll_back", "roll back to the version before"
        else:
            step, text = "promote", "promote"
        return format_html(
            '<a href="{}">{}</a>', reverse(f"admin:ml_modelversion_{step}", args=[version.pk]), text
        )

    @admin.display(description="shadow", ordering="shadow_since")
    def shadow(self, version: ModelVersion) -> str:
        return "yes" if version.shadow_since else ""

    @admin.display(description="in shadow")
    def in_shadow(self, version: ModelVersion) -> str:
        since = f"since {version.shadow_since:%Y-%m-%d %H:%M} UTC: " if version.shadow_since else "no; "
        return since + str(shadow_score(version))

    @admin.display(description="spec")
    def readable_spec(self, version: ModelVersion) -> str:
        text = json.dumps(version.spec, indent=2, ensure_ascii=False)
        return format_html('<pre class="spec" tabindex="0">{}</pre>', text)

    @admin.display(description="report")
    def report(self, version: ModelVersion) -> str:
        if not (version.path / "report.html").is_file():
            return "none"
        url = reverse("admin:ml_modelversion_report", args=[version.pk])
        return format_html('<a href="{}" target="_blank" rel="noopener">curves and figures</a>', url)

    @admin.action(description="Promote the selected version", permissions=["change"])
    def promote_selected(self, request: HttpRequest, versions: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._confirm_one(request, versions, "promote")

    @admin.action(description="Roll back what the selected version replaced", permissions=["change"])
    def roll_back_selected(
        self, request: HttpRequest, versions: QuerySet[ModelVersion]
    ) -> HttpResponse | None:
        return self._confirm_one(request, versions, "roll_back")

    @admin.action(description="Let the selected version read along in shadow", permissions=["change"])
    def start_shadow_selected(self, request: HttpRequest, versions: QuerySet[ModelVersion]) -> None:
        for version in versions:
            try:
                services.start_shadow(version=version)
            except services.RegistryError as error:
                self.message_user(request, f"Not in shadow: {error}", messages.ERROR)
            else:
                self._note(request, version, f"Reading along in shadow: {version}")

    @admin.action(description="End the shadow of the selected version", permissions=["change"])
    def stop_shadow_selected(self, request: HttpRequest, versions: QuerySet[ModelVersion]) -> None:
        for version in versions.filter(shadow_since__isnull=False):
            services.stop_shadow(slug=version.slug)
            self._note(request, version, f"Ended the shadow of {version}: {shadow_score(version)}")

    def promote_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = self._changeable(request, pk)
        plan = plan_promotion(version)
        form_class = PromoteForm if plan.objections else ReasonForm
        form = form_class(request.POST or None)
        if request.method == "POST" and form.is_valid():
            force = bool(form.cleaned_data.get("force"))
            try:
                promoted = services.promote(
                    version=version, by=request.user, reason=form.cleaned_data["reason"], force=force
                )
            except services.RegistryError as error:
                form.add_error(None, str(error))
            else:
                names = ", ".join(map(str, promoted))
                return self._done(request, version, f"Promoted {names}: {form.cleaned_data['reason']}")
        return self._confirmation(
            request, version, form, f"Promote {version}", plan.objections, plan.versions, plan.grounds
        )

    def roll_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = self._changeable(request, pk)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason = form.cleaned_data["reason"]
            try:
                back = services.roll_back(slug=version.slug, by=request.user, reason=reason)
            except services.RegistryError as error:
                form.add_error(None, str(error))
            else:
                return self._done(request, version, f"Rolled back to {back}: {reason}")
        before = services.version_before(version.slug)
        grounds = [f"{before} serves again"] if before is not None else []
        return self._confirmation(request, version, form, f"Roll back {version.slug}", [], [], grounds)

    def report_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A version's report, shut in: whatever stands in the file, it can neither run nor reach anything."""
        version = self.get_object(request, str(pk))
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        file = version.path / "report.html" if version is not None else None
        if file is None or not file.is_file():
            raise Http404("this version has no report")
        return HttpResponse(file.read_bytes(), headers={"Content-Security-Policy": REPORT_POLICY})

    def _confirm_one(
        self, request: HttpRequest, versions: QuerySet[ModelVersion], step: str
    ) -> HttpResponse | None:
        if len(versions) != 1:
            self.message_user(request, "Choose exactly one version.", messages.ERROR)
            return None
        return HttpResponseRedirect(reverse(f"admin:ml_modelversion_{step}", args=[versions[0].pk]))

    def _changeable(self, request: HttpRequest, pk: int) -> ModelVersion:
        version = self.get_object(request, str(pk))
        if version is None:
            raise Http404("no such version")
        if not self.has_change_permission(request, version):
            raise PermissionDenied
        return version

    def _note(self, request: HttpRequest, version: ModelVersion, message: str) -> None:
        self.log_change(request, version, message)
        self.message_user(request, message, messages.SUCCESS)

    def _done(self, request: HttpRequest, version: ModelVersion, message: str) -> HttpResponse:
        self._note(request, version, message)
        return HttpResponseRedirect(reverse("admin:ml_modelversion_changelist"))

    def _confirmation(
        self,
        request: HttpRequest,
        version: ModelVersion,
        form: forms.Form,
        title: str,
        objections: list[str],
        together: list[ModelVersion],
        grounds: list[str],
    ) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "version": version,
            "form": form,
            "objections": objections,
            "together": together[1:],
            "grounds": grounds,
            "accuracy": accuracy_of(version.metrics),
        }
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/ml/modelversion/confirm.html", context, status=status)
