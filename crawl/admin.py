"""Sources to describe, to import and to crawl; runs to watch live, and the trail of their images."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from crawl import selectors, services, sources
from crawl.errors import CrawlError, NotAuthorised, SourceError
from crawl.models import MAX_COUNT, CaptchaSource, CrawledImage, CrawlRun


class StartForm(forms.Form):
    count = forms.IntegerField(
        label="New images", validators=[MinValueValidator(1), MaxValueValidator(MAX_COUNT)]
    )


class ImportForm(forms.Form):
    file = forms.FileField(label="YAML file")

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file.size > sources.MAX_BYTES:
            raise forms.ValidationError(f"At most {sources.MAX_BYTES:,} bytes.")
        try:
            return str(file.read().decode())
        except UnicodeDecodeError as error:
            raise forms.ValidationError("This is no text.") from error


class SourceForm(forms.ModelForm):
    """What is written as JSON says how, and so does the refusal of what is not."""

    EXAMPLES: ClassVar[dict[str, str]] = {
        "hosts": '["img.example.org"]',
        "consent_fields": '{"agree": "yes"}',
    }

    class Meta:
        widgets: ClassVar[dict[str, forms.Widget]] = {
            name: forms.Textarea(attrs={"rows": 2, "cols": 60, "spellcheck": "false"})
            for name in ("hosts", "consent_fields")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.EXAMPLES.keys() & self.fields.keys():  # who may only look has no fields
            self.fields[name].error_messages["invalid"] = (
                f"Write it with its brackets and double quotes, such as {self.EXAMPLES[name]}"
            )
        if "consent_fields" in self.fields:
            self.fields["consent_fields"].help_text = (
                f"Fields of the form to fill in, as names and values: {self.EXAMPLES['consent_fields']}. "
                "None: {}"
            )

    def clean_hosts(self) -> Any:
        return self.cleaned_data["hosts"] or []

    def clean_consent_fields(self) -> Any:
        return self.cleaned_data["consent_fields"] or {}


@admin.register(CaptchaSource)
class CaptchaSourceAdmin(admin.ModelAdmin):
    form = SourceForm
    list_display = ["slug", "captcha_type", "start_url", "authorised_until", "active", "last", "live"]
    list_filter = ["active", "captcha_type"]
    list_select_related = ["captcha_type"]
    search_fields = ["slug", "start_url"]
    actions = ["export"]
    change_form_template = "admin/crawl/captchasource/change_form.html"
    change_list_template = "admin/crawl/captchasource/change_list.html"
    fieldsets = [
        (None, {"fields": ["slug", "captcha_type", "active"]}),
        (
            "Who allowed it",
            {"fields": ["authorised_by", "authorisation", "authorised_until"]},
        ),
        (
            "The way to an image",
            {"fields": ["start_url", "start", "image", "session", "again", "refresh", "hosts", "spider"]},
        ),
        ("A form of consent before it", {"fields": ["consent_form", "consent_button", "consent_fields"]}),
        ("What it shows, where a test site of your own tells", {"fields": ["truth", "truth_url"]}),
        (
            "How much and how often",
            {
                "fields": [
                    "count", "delay", "timeout", "every_minutes", "daily_at", "give_up_after",
                    "give_up_after_duplicates",
                ]
            },
        ),
    ]  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("import/", view(self.import_view), name="crawl_captchasource_import"),
            path("<int:pk>/crawl/", view(self.crawl_view), name="crawl_captchasource_crawl"),
            path("<int:pk>/live/", view(self.live_view), name="crawl_captchasource_live"),
            path("<int:pk>/state/", view(self.state_view), name="crawl_captchasource_state"),
            path("<int:pk>/cancel/", view(self.cancel_view), name="crawl_captchasource_cancel"),
        ]
        return own + super().get_urls()

    def save_model(self, request: HttpRequest, obj: CaptchaSource, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        services.keep_schedule(obj)
        try:
            services.check_authorised(obj)
        except NotAuthorised as error:
            where = "" if obj.authorised_until else ' Fill in "Authorised until".'
            self.message_user(
                request, f"It cannot be crawled until this is put right: {error}{where}", messages.WARNING
            )

    @admin.display(description="last run")
    def last(self, source: CaptchaSource) -> str:
        run = selectors.last_run(source)
        return "never" if run is None else f"{run.get_state_display()}, {run.kept} of {run.wanted}"

    @admin.display(description="live")
    def live(self, source: CaptchaSource) -> str:
        return format_html(
            '<a href="{}">look on</a>', reverse("admin:crawl_captchasource_live", args=[source.pk])
        )

    @admin.action(description="Export as YAML", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[CaptchaSource]) -> HttpResponse:
        text = sources.dump(list(queryset.select_related("captcha_type")))
        headers = {"Content-Disposition": 'attachment; filename="sources.yaml"'}
        return HttpResponse(text, content_type="application/yaml; charset=utf-8", headers=headers)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                taken = sources.load(form.cleaned_data["file"])
            except SourceError as error:
                form.add_error("file", str(error))
            else:
                for source, new in taken:
                    said = "Imported" if new else "Changed by an import"
                    self.log_change(request, source, said)
                names = ", ".join(str(source) for source, _ in taken)
                self.message_user(request, f"Taken from the file: {names}", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:crawl_captchasource_changelist"))
        return self._form_page(request, "Import sources", form)

    def crawl_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._source(request, pk)
        if not request.user.has_perm("crawl.add_crawlrun"):
            raise PermissionDenied
        form = StartForm(request.POST or None, initial={"count": source.count})
        if request.method == "POST" and form.is_valid():
            try:
                services.start_job(source=source, user=request.user, count=form.cleaned_data["count"])
            except CrawlError as error:
                form.add_error(None, str(error))
            else:
                self.log_change(request, source, f"Crawl of {form.cleaned_data['count']} images begun")
                return HttpResponseRedirect(reverse("admin:crawl_captchasource_live", args=[pk]))
        return self._form_page(request, f"Crawl {source}", form, source)

    @property
    def live_view(self) -> Any:
        return require_safe(never_cache(self._live_view))

    def _live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._source(request, pk)
        context = self.admin_site.each_context(request) | {
            "title": f"Crawl of {source}",
            "opts": self.opts,
            "source": source,
            "shown": selectors.as_shown(source),
            "may_cancel": request.user.has_perm("crawl.change_crawlrun"),
        }
        return TemplateResponse(request, "admin/crawl/captchasource/live.html", context)

    @property
    def state_view(self) -> Any:
        return require_safe(never_cache(self._state_view))

    def _state_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return JsonResponse(selectors.as_shown(self._source(request, pk)))

    @property
    def cancel_view(self) -> Any:
        return require_POST(self._cancel_view)

    def _cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._source(request, pk)
        if not request.user.has_perm("crawl.change_crawlrun"):
            raise PermissionDenied
        services.cancel_all(source=source)
        self.log_change(request, source, "Crawl cancelled")
        return HttpResponseRedirect(reverse("admin:crawl_captchasource_live", args=[pk]))

    def _source(self, request: HttpRequest, pk: int) -> CaptchaSource:
        source = self.get_object(request, str(pk))
        if source is None:
            raise Http404("no such source")
        if not (self.has_view_permission(request, source) and request.user.has_perm("crawl.view_crawlrun")):
            raise PermissionDenied
        return source

    def _form_page(
        self, request: HttpRequest, title: str, form: forms.Form, source: CaptchaSource | None = None
    ) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "source": source,
            "form": form,
        }
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/crawl/captchasource/form.html", context, status=status)


class ReadOnlyAdmin(admin.ModelAdmin):
    """What crawls wrote: nobody edits it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CrawlRun)
class CrawlRunAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "state", "progress", "duplicates", "dropped", "reason", "by", "started"]
    list_filter = ["state", "source"]
    search_fields = ["source_slug", "reason"]
    date_hierarchy = "started"
    show_full_result_count = False

    @admin.display(description="kept")
    def progress(self, run: CrawlRun) -> str:
        return f"{run.kept} of {run.wanted}"


@admin.register(CrawledImage)
class CrawledImageAdmin(ReadOnlyAdmin):
    """The trail: find an image by the beginning of its SHA-256."""

    list_display = ["sha256", "run", "url", "fetched", "by", "sample"]
    list_filter = ["run__source"]
    list_select_related = ["run", "sample"]
    search_fields = ["sha256__startswith"]
    show_full_result_count = False

    @admin.display(description="by")
    def by(self, image: CrawledImage) -> str:
        return image.run.by
