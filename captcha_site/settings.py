"""All settings. Each is an environment variable of the same name, or a line of the file ``.env``.

With DEBUG off, the start is refused until SECRET_KEY and ALLOWED_HOSTS are set.
"""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from captcha_site import environment as env
from captcha_site import logs

BASE_DIR = Path(__file__).resolve().parent.parent

ENV_FILE = env.path("ENV_FILE", BASE_DIR / ".env")
if ENV_FILE.exists():
    environ.Env.read_env(ENV_FILE)  # the environment wins over the file

DEBUG = env.boolean("DEBUG")

SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY and DEBUG:
    SECRET_KEY = env.development_secret_key(BASE_DIR / "var" / "development_secret_key")
if not DEBUG and (
    len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5 or SECRET_KEY.startswith("django-insecure-")
):
    raise ImproperlyConfigured(
        "SECRET_KEY must be set to at least 50 random characters when DEBUG is off. Make one with: "
        'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
    )

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"] if DEBUG else [])
if not DEBUG and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS must name the host names this service answers to when DEBUG is off, "
        "e.g. ALLOWED_HOSTS=captcha.example.org,localhost"
    )

# While this file exists the process is about to end and says so at /health_check; `bin/serve` makes it.
DRAIN_FILE = env.text("DRAIN_FILE")

# The address of a client is the last one that a proxy of this list did not add; else the socket's.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

# The service

SIGNUP_CREDITS = env.integer("SIGNUP_CREDITS", 10, minimum=0)
VERIFY_EMAIL = env.boolean("VERIFY_EMAIL", not DEBUG)  # the gift is paid once the address is confirmed
SOLVE_PRICE = env.integer("SOLVE_PRICE", 1, minimum=0)
LOW_BALANCE = env.integer("LOW_BALANCE", 5, minimum=0)  # credits at which an account's page says so
TOKEN_LIFESPAN_HOURS = env.integer("TOKEN_LIFESPAN_HOURS", 24, minimum=1)
TOKEN_LIFESPAN_MAX_HOURS = env.integer("TOKEN_LIFESPAN_MAX_HOURS", 24 * 30, minimum=TOKEN_LIFESPAN_HOURS)

SHIPPED_ARTIFACTS = BASE_DIR / "ml" / "artifacts"
ARTIFACTS_ROOT = env.path("ARTIFACTS_ROOT", BASE_DIR / "var" / "artifacts")
CURVES_ROOT = env.path("CURVES_ROOT", BASE_DIR / "var" / "curves")
TRAINING_PYTHON = env.text("TRAINING_PYTHON")
# A larger file of a model is neither registered nor loaded; ml.recognition reads none above 4 MiB either.
MAX_MODEL_BYTES = env.integer("MAX_MODEL_BYTES", 4 * 1024 * 1024, minimum=1024)
# Readers of customers' own types that a process keeps open, some 2 MiB each.
PRIVATE_READERS = env.integer("PRIVATE_READERS", 32, minimum=1)
SHADOW_PERCENT = env.integer("SHADOW_PERCENT", 10, minimum=0)
if SHADOW_PERCENT > 100:
    raise ImproperlyConfigured(f"SHADOW_PERCENT={SHADOW_PERCENT} is above 100.")

MAX_UPLOAD_BYTES = env.integer("MAX_UPLOAD_BYTES", 2 * 1024 * 1024, minimum=1024)
MAX_BATCH_BYTES = env.integer("MAX_BATCH_BYTES", 16 * 1024 * 1024, minimum=MAX_UPLOAD_BYTES)
MAX_IMAGE_PIXELS = env.integer("MAX_IMAGE_PIXELS", 4_000_000, minimum=64)

# For so long images of solves are kept and wrong answers can be reported; 0 keeps none and takes no report.
REPORT_WINDOW_MINUTES = env.integer("REPORT_WINDOW_MINUTES", 60, minimum=0)
REFUND_REPORTS_AT_ONCE = env.boolean("REFUND_REPORTS_AT_ONCE")  # else once a labeller confirms
SOLVED_IMAGES_ROOT = env.path("SOLVED_IMAGES_ROOT", BASE_DIR / "var" / "solved")

# For how many days it is kept, in `manage.py prune`; 0 keeps it for ever
HISTORY_DAYS = env.integer("HISTORY_DAYS", 0, minimum=0)
REPORTED_IMAGES_DAYS = env.integer("REPORTED_IMAGES_DAYS", 30, minimum=0)
SHADOW_READINGS_DAYS = env.integer("SHADOW_READINGS_DAYS", 90, minimum=0)
JOB_RUNS_DAYS = env.integer("JOB_RUNS_DAYS", 90, minimum=0)
LOGIN_ATTEMPTS_DAYS = env.integer("LOGIN_ATTEMPTS_DAYS", 30, minimum=0)

# Callbacks go to public addresses; and to these, HOST or HOST:PORT, where the operator has something running
CALLBACK_ALLOWED_HOSTS = env.words("CALLBACK_ALLOWED_HOSTS")
CALLBACKS_AT_ONCE = env.boolean("CALLBACKS_AT_ONCE", True)  # by a thread of the web process too

# Archives of `manage.py backup`, and how many the job that writes them keeps; 0 keeps all
BACKUPS_ROOT = env.path("BACKUPS_ROOT", BASE_DIR / "var" / "backups")
BACKUPS_KEPT = env.integer("BACKUPS_KEPT", 14, minimum=0)

# What people label, and the data sets frozen out of it: below neither is anything served as a static file
SAMPLES_ROOT = env.path("SAMPLES_ROOT", BASE_DIR / "var" / "samples")
DATASETS_ROOT = env.path("DATASETS_ROOT", BASE_DIR / "var" / "datasets")
MAX_IMPORT_BYTES = env.integer("MAX_IMPORT_BYTES", 256 * 1024 * 1024, minimum=1024)

# Types that customers bring: how many, how large, who lets them be trained, what a training costs
PRIVATE_TYPES_PER_USER = env.integer("PRIVATE_TYPES_PER_USER", 3, minimum=0)
PRIVATE_TYPE_IMAGES = env.integer("PRIVATE_TYPE_IMAGES", 5000, minimum=10)
PRIVATE_TYPE_BYTES = env.integer("PRIVATE_TYPE_BYTES", 64 * 1024 * 1024, minimum=1024)
PRIVATE_TYPES_NEED_APPROVAL = env.boolean("PRIVATE_TYPES_NEED_APPROVAL")
TRAINING_PRICE = env.integer("TRAINING_PRICE", 20, minimum=0)
TRAINING_MINUTES = env.integer("TRAINING_MINUTES", 3, minimum=1)
TRAININGS_PER_DAY = env.integer("TRAININGS_PER_DAY", 3, minimum=1)

# Jobs: without a broker they run in child processes of this machine. Celery: requirements/worker.txt
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL")
if CELERY_BROKER_URL and find_spec("celery") is None:
    raise ImproperlyConfigured(
        "CELERY_BROKER_URL is set, but Celery is not installed here: pip install -r requirements/worker.txt"
    )

# Crawling. No host at a non-public address is asked unless it is named here, as host or host:port.
CRAWL_ALLOWED_HOSTS = env.words("CRAWL_ALLOWED_HOSTS")
CRAWL_CONTACT = env.text("CRAWL_CONTACT")
CRAWL_SPIDER_MODULES = env.words("CRAWL_SPIDER_MODULES")

# Applications

INSTALLED_APPS = [
    "accounts",
    "solving",
    "own_types",
    "crawl",
    "labeling",
    "ml",
    "jobs",
    "captcha_site",
    "captcha_site.admin_config.DashboardConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "csp",
    "django_filters",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "captcha_site.observation.ObservationMiddleware",  # first, to see what all the others answer
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "captcha_site.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "captcha_site.middleware.AuthenticationMiddleware",
    "captcha_site.middleware.LogInNoteMiddleware",
    "captcha_site.middleware.OneTimeCodeMiddleware",
    "captcha_site.middleware.SecondFactorMiddleware",
    "captcha_site.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "captcha_site.middleware.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",  # last, so that it sees the answer of every log-in
]

ROOT_URLCONF = "captcha_site.urls"
WSGI_APPLICATION = "captcha_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

DATABASES: dict[str, dict[str, Any]] = {
    "default": environ.Env.db_url_config(
        env.database_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
    )
}
DATABASES["default"].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["ENGINE"] = "captcha_site.postgresql"  # the same, with a cheaper health check
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # It holds money: a commit that was answered survives a power cut, and a writer queues instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # 300 as usual would drop counters
    }
}
CACHE_URL = env.cache_url("CACHE_URL")
if CACHE_URL:  # all processes on all machines share their throttles through it
    CACHES = {"default": {"BACKEND": "captcha_site.cache.SharedCache", "LOCATION": CACHE_URL}}

# Users and tokens

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.backends.AccountBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Staff reach nothing but their account until they have set up a second factor, and given its code.
STAFF_NEEDS_TWO_FACTOR = env.boolean("STAFF_NEEDS_TWO_FACTOR", not DEBUG)
OTP_TOTP_ISSUER = "Captcha Solving Service"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "my-account"
LOGOUT_REDIRECT_URL = "home"

# Mail is for confirming addresses and resetting passwords: to the log, unless EMAIL_URL names a server.
EMAIL_URL = env.text("EMAIL_URL")
vars().update(environ.Env.email_url_config(EMAIL_URL or "consolemail://"))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "captcha-solving-service@localhost")
PASSWORD_RESET_TIMEOUT = 3600  # seconds

AXES_FAILURE_LIMIT = env.integer("AXES_FAILURE_LIMIT", 10, minimum=1)
AXES_COOLOFF_TIME = timedelta(minutes=env.integer("AXES_COOLOFF_MINUTES", 15, minimum=1))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "accounts.client_address.client_network"
AXES_USERNAME_CALLABLE = "accounts.login_guard.attempted_name"
AXES_LOCKOUT_CALLABLE = "accounts.login_guard.locked_out_response"
# Passwords tried for one name from all addresses together. An hour may meet two windows: at most twice that.
LOGIN_GUESSES_PER_HOUR = env.integer("LOGIN_GUESSES_PER_HOUR", 50, minimum=1)

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=TOKEN_LIFESPAN_HOURS),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=30),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a token carries a digest of the password's hash: a new password ends it
    "UPDATE_LAST_LOGIN": False,
    "ALGORITHM": "HS256",
    "AUTH_HEADER_TYPES": ("Bearer",),
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.JWTAuthentication",
        "accounts.authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.SignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "captcha_site.negotiation.FirstChoice",
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
        "rest_framework.parsers.FormParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "captcha_site.problems.exception_handler",
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.rate("THROTTLE_ANON", "120/min"),
        "user": env.rate("THROTTLE_USER", "6000/min"),
        "sign_up": env.rate("THROTTLE_SIGN_UP", "10/hour"),
        "sign_up_form": env.rate("THROTTLE_SIGN_UP_FORM", "60/hour"),
        "token": env.rate("THROTTLE_TOKEN", "60/min"),
        "try": env.rate("THROTTLE_TRY", "30/min"),
        "solve": env.rate("THROTTLE_SOLVE", "6000/min"),
    },
    "NUM_PROXIES": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Captcha Solving Service",
    "DESCRIPTION": "An image in, its text out, one credit spent. For captchas you own or may test.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"SolveOutcomeEnum": "solving.models.Solve.Outcome"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "captcha_site.openapi.add_problems",
    ],
}

# Uploads: larger bodies are refused before they are read

DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer("DATA_UPLOAD_MAX_MEMORY_SIZE", 2 * MAX_UPLOAD_BYTES, minimum=1024)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 64
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES + 64 * 1024  # an image within the limit never touches the disk

# Security

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "captcha_site.problems.refused_form"
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.boolean("SECURE_COOKIES", not DEBUG)
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", not DEBUG)
SECURE_REDIRECT_EXEMPT = [
    r"^health_check$",  # probed over plain HTTP inside the host, like the next two
    r"^readyz$",
    r"^metrics$",
    # The dialects' clients follow a redirect without their body: these refuse plain HTTP in their own words.
    r"^(createTask|get[A-Z]\w+|report[A-Z]\w+|test|in\.php|res\.php|api/captcha(/.*)?|api/user)$",
]
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 0 if DEBUG else 365 * 24 * 3600, minimum=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
if env.boolean("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Static files

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "samples": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": SAMPLES_ROOT},
    },
    "solved": {
        "BACKEND": "solving.storage.NewFiles",
        "OPTIONS": {
            "location": SOLVED_IMAGES_ROOT,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG  # no collectstatic on one's own machine

# Language, time, log

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = ["captcha_site.formats"]

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"])
LOG_FORMAT = env.choice("LOG_FORMAT", "line" if DEBUG else "json", ["json", "line"])
LOG_REQUESTS = env.boolean("LOG_REQUESTS", not DEBUG)
LOGGING = logs.configuration(style=LOG_FORMAT, level=LOG_LEVEL) | {
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},  # or any caller could fill the log with lines of 4xx
        "axes": {"level": "WARNING"},
    },
}

# Figures for Prometheus at /metrics: nobody gets them until a token or addresses are named

METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_ALLOWED = env.networks("METRICS_ALLOWED")
METRICS_LEDGER_SECONDS = env.integer("METRICS_LEDGER_SECONDS", 60, minimum=1)
