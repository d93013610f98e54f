"""
Settings: production by default, every value from the environment, checked here so that a wrong one stops the start.

docs/operations.md explains each variable; connector_site/environment.py says where values come from.
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from connector_site import environment, logs

try:
    environment.load()
except environment.SettingsError as error:
    raise ImproperlyConfigured(str(error)) from error
env = environ.Env()


# A sentence each, said together at the end: nobody wants to start a site six times to learn six names.
_troubles: list[str] = []


def _checked(name: str, check: Callable[[str], str], *, default: str = "") -> str:
    """A value that passes its check, else none; check returns what is wrong with it, or nothing."""
    value = env.str(name, default).strip()
    if trouble := check(value):
        _troubles.append(f"{name} {trouble}")
        return ""
    return value


def _number(name: str, *, default: int, low: int = 0, high: int = 65535) -> int:
    value = env.str(name, str(default))
    # Python refuses to read thousands of digits, in its own words.
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not low <= int(value) <= high:
        _troubles.append(f"{name} must be a whole number from {low} to {high}.")
        return default
    return int(value)


# --- what we are -----------------------------------------------------------------------------------------------------

BASE_DIR = environment.BASE_DIR
DATA_DIR = Path(env.str("DATA_DIR"))
MODE = env.str("MODE")
IS_PRODUCTION = MODE == "production"
PORT = _number("PORT", default=8000, low=1)
SIMULATOR_PORT = _number("SIMULATOR_PORT", default=8100)
SIMULATOR_TLS_PORT = _number("SIMULATOR_TLS_PORT", default=8143)
_number("WEB_CONCURRENCY", default=2, low=1, high=1000)  # gunicorn reads it itself, and would end in a traceback

# Never on: its error page shows local variables, which hold message text and secrets.
DEBUG = False

ROOT_URLCONF = "connector_site.urls"
WSGI_APPLICATION = "connector_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "access.User"

INSTALLED_APPS = [
    "connector_site",  # first: its templates and its qcluster command stand before those of the libraries
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces; without a site of its own
    "connector_site.admin_config.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_q",
    "access",
    "audit",
    "installations",
    "conversations",
    "webhooks",
]

MIDDLEWARE = [
    "connector_site.middleware.AckTimes",
    "connector_site.middleware.CorrelationId",
    "connector_site.content_policy.ContentPolicy",
    "connector_site.middleware.DatabasePatience",
    "connector_site.middleware.TrustedProxy",
    "connector_site.middleware.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "connector_site.middleware.LastSlash",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "access.sessions.SessionLimits",
    "axes.middleware.AxesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "access.rest.limits.RateLimitHeaders",
    "connector_site.middleware.ReadingsTold",
]

TEMPLATES: list[dict[str, Any]] = [
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


# --- secrets ---------------------------------------------------------------------------------------------------------

_COMMON_SECRETS = ("django-insecure-", "change", "secret", "example", "default", "your-", "xxx")


def _secret_key_trouble(value: str) -> str:
    if not value:
        return "is not set. Set it to at least 50 random characters that nobody else knows."
    if len(value) < 50 or len(set(value)) < 10:
        return "is weak. Set it to at least 50 random characters."
    if value.lower().startswith(_COMMON_SECRETS):
        return "is a well-known default. Set it to at least 50 random characters."
    return ""


def _encryption_keys_trouble(value: str) -> str:
    keys = [part.strip() for part in value.split(",") if part.strip()]
    if not keys:
        return "is not set. Set it to one or more keys, newest first, separated by commas: base64 of 32 random bytes."
    for position, key in enumerate(keys, start=1):
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            return f"holds something that is not base64 in place {position}. Each key is base64 of 32 random bytes."
        if len(raw) != 32:
            return f"holds {len(raw)} bytes in place {position}. Each key is base64 of exactly 32 random bytes."
        if len(set(raw)) < 8:
            return f"holds a weak key in place {position}. Each key is base64 of 32 random bytes."
    if len(set(keys)) != len(keys):
        return "names a key twice. Name each key once, newest first."
    return ""


SECRET_KEY = _checked("SECRET_KEY", _secret_key_trouble)
ENCRYPTION_KEYS = _checked("ENCRYPTION_KEYS", _encryption_keys_trouble)
ADMIN_PASSWORD = env.str("ADMIN_PASSWORD", "")
METRICS_TOKEN = _checked(
    "METRICS_TOKEN",
    lambda value: "is shorter than 20 characters. Set it to a longer random value." if 0 < len(value) < 20 else "",
)


# --- where we are reached --------------------------------------------------------------------------------------------


def _base_url_trouble(value: str) -> str:
    example = "Set it to where the world reaches this site, such as https://connectors.example.com."
    if not value:
        return f"is not set. {example}"
    try:
        url = urlsplit(value)
        hostname, _ = url.hostname, url.port
    except ValueError:
        return f"is not a URL. {example}"
    if url.scheme not in ("http", "https") or not hostname or url.username is not None:
        return f"is not the URL of a site. {example}"
    if url.path not in ("", "/") or url.query or url.fragment:
        return f"must be scheme and host only. {example}"
    if IS_PRODUCTION and url.scheme != "https":
        return f"must start with https in production. {example}"
    return ""


def _hosts_trouble(value: str) -> str:
    hosts = [host.strip() for host in value.split(",") if host.strip()]
    if not hosts:
        return "is not set. Set it to the host names this site answers to, separated by commas."
    if IS_PRODUCTION and "*" in hosts:
        return "must not be * in production. Name the host names this site answers to, separated by commas."
    if any("/" in host or " " in host for host in hosts):
        return "must hold host names only, separated by commas: no scheme, no path."
    return ""


def _proxies_trouble(value: str) -> str:
    for part in filter(None, (part.strip() for part in value.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError:
            return f"holds {part!r}. Name IP addresses or networks (10.0.0.0/8), separated by commas."
    return ""


PUBLIC_BASE_URL = _checked(
    "PUBLIC_BASE_URL", _base_url_trouble, default="" if IS_PRODUCTION else f"http://127.0.0.1:{PORT}"
).rstrip("/")
_public = urlsplit(PUBLIC_BASE_URL)
_local_hosts = "" if IS_PRODUCTION else f"127.0.0.1,localhost,[::1],testserver,{_public.hostname}"
ALLOWED_HOSTS = [
    host.strip() for host in _checked("ALLOWED_HOSTS", _hosts_trouble, default=_local_hosts).split(",") if host.strip()
]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
# Only these may say for whom they ask and that the outer connection was TLS. A proxy on this machine is the usual case.
TRUSTED_PROXIES = [
    ipaddress.ip_network(part.strip())
    for part in _checked("TRUSTED_PROXIES", _proxies_trouble, default="127.0.0.1,::1").split(",")
    if part.strip()
]


# --- where we call ---------------------------------------------------------------------------------------------------


def _domain_api_trouble(value: str) -> str:
    try:
        url = urlsplit(value)
        hostname, _ = url.hostname, url.port
    except ValueError:
        hostname = None
    if not hostname or url.scheme not in ("http", "https") or url.path not in ("", "/") or url.query or url.fragment:
        return "must be scheme and host, such as https://api.liveperson.net."
    if url.username is not None:
        return "must not hold a user name or password."
    if url.scheme != "https" and not ALLOW_PRIVATE_OUTBOUND:
        return "must start with https (http is for a simulator, where ALLOW_PRIVATE_OUTBOUND is 1)."
    return ""


def _domains_trouble(value: str) -> str:
    suffixes = [part.strip() for part in value.split(",") if part.strip()]
    if not suffixes:
        return "is empty. Name the host suffixes that may be called, such as liveperson.net."
    if any("." not in suffix.strip(".") or "*" in suffix or "/" in suffix for suffix in suffixes):
        return "must hold host suffixes, such as liveperson.net, separated by commas: no scheme, no path, no star."
    return ""


ALLOW_PRIVATE_OUTBOUND = bool(_number("ALLOW_PRIVATE_OUTBOUND", default=0 if IS_PRODUCTION else 1, high=1))
LIVEPERSON_DOMAIN_API = _checked(
    "LIVEPERSON_DOMAIN_API", _domain_api_trouble, default="https://api.liveperson.net"
).rstrip("/")
LIVEPERSON_DOMAINS = [
    part.strip().lower().strip(".")
    for part in _checked("LIVEPERSON_DOMAINS", _domains_trouble, default="liveperson.net").split(",")
    if part.strip()
]


# --- database --------------------------------------------------------------------------------------------------------


def _database_trouble(value: str) -> str:
    if not value:
        start = "" if IS_PRODUCTION else " (manage.py starts an embedded one when it is the entry point)"
        return f"is not set. Set it to postgresql://user:password@host/database{start}."
    if not value.startswith(("postgresql://", "postgres://")):
        return "must start with postgresql://: no other database is supported."
    try:
        parts = conninfo_to_dict(value)
    except ProgrammingError:
        return (
            "cannot be read. Its form is postgresql://user:password@host:port/database, "
            "with special characters written as %XX."
        )
    return "" if parts.get("dbname") else "names no database: postgresql://user:password@host:port/database."


def _database(url: str) -> dict[str, Any]:
    """Django's form of a PostgreSQL URL, read by libpq's own rules (so sslmode and socket folders work as there)."""
    parts = conninfo_to_dict(url)
    known = {key: str(parts.pop(key, "")) for key in ("dbname", "user", "password", "host", "port")}
    # A machine that vanishes in a transaction would hold its locks until TCP gives up, a minute and more. No
    # transaction of ours waits for anybody: what is idle in one for so long is dead.
    options = f"-c idle_in_transaction_session_timeout=15s {parts.pop('options', '')}".strip()
    return {
        "ENGINE": "core.postgres",
        "NAME": known["dbname"],
        "USER": known["user"],
        "PASSWORD": known["password"],
        "HOST": known["host"],
        "PORT": known["port"],
        # A new connection per request costs a factor of four to seven. Never OPTIONS["pool"]: django-q2 opens it before
        # it forks, and its processes would share sockets.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # A silent database is found within seconds, also by work that core.postgres.patience does not bound.
        "OPTIONS": {
            "connect_timeout": 2,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "application_name": "connector-site",
            "options": options,
        }
        | parts,
    }


DATABASES = {"default": _database(_checked("DATABASE_URL", _database_trouble))}

# Wakes the workers; holds no truth. retry counts from the moment a task is fetched, not from its start, so it has to
# exceed timeout x (2 + queue_limit / workers); with bulk 1 and queue_limit = workers nothing waits in memory for long.
Q_CLUSTER = {
    "name": "connector_site",
    "orm": "default",  # the same alias as our rows: a doorbell commits with the row it points to
    "broker_class": "connector_site.broker.Broker",
    "cache": "queue",
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 60,
    "retry": 300,
    "ack_failures": True,  # otherwise a task that raises is run again for ever
    "max_attempts": 1,
    "save_limit": -1,  # any other value costs a factor of six
    "catch_up": False,
    "scheduler": False,  # nothing of ours depends on its table; whoever may write there may run any function
    "recycle": 500,
    "poll": 0.05,
    "label": "Task queue",
}

# How long the ledger of identities is kept: what is older comes again as something new, if it comes at all.
IDENTITY_DAYS = _number("IDENTITY_DAYS", default=400, low=8, high=36_500)

REDIS_URL = _checked(
    "REDIS_URL",
    lambda value: (
        "must start with redis://, rediss:// or unix://, or be left out: the cache is optional."
        if value and not value.startswith(("redis://", "rediss://", "unix://"))
        else ""
    ),
)
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # django-q2 notes its state here twice a second, for a page that we do not use.
    "queue": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "queue"},
}


# --- security --------------------------------------------------------------------------------------------------------

_is_https = _public.scheme == "https"
SECURE_SSL_REDIRECT = IS_PRODUCTION
# A signed webhook is authentic on any wire; a redirected POST is lost.
SECURE_REDIRECT_EXEMPT = [r"^webhooks/"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _is_https else 0
# Whether other hosts under this name, or the whole registered domain, may only be reached by https is not ours to say.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = _is_https
SESSION_COOKIE_AGE = _number("SESSION_HOURS", default=8, low=1, high=24) * 3600
SESSION_IDLE_S = _number("SESSION_IDLE_MINUTES", default=30, low=1, high=24 * 60) * 60
SESSION_COOKIE_NAME = "connector_site_session"
CSRF_COOKIE_SECURE = _is_https
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "connector_site_csrf"
CSRF_FAILURE_VIEW = "connector_site.errors.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# The first one refuses, before a password is looked at, what access/sign_in.py says; it finds nobody.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "access.sign_in.SignInThrottle"
AXES_LOCKOUT_CALLABLE = "access.sign_in.answer_locked"
AXES_HTTP_RESPONSE_CODE = 429
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False


# --- API -------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["access.rest.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "access.rest.permissions.InReach",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "access.rest.errors.answer_error",
    "DATETIME_FORMAT": "iso-8601",
}
# Of one key, over all processes.
API_REQUESTS_PER_MINUTE = _number("API_REQUESTS_PER_MINUTE", default=600, low=1, high=1_000_000)
# The prefix lets scanners of repositories and logs recognise a key that got lost.
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_PREFIX": "consite_", "TOKEN_TTL": timedelta(days=90)}
# Its default; migrations of what refers to it read it here.
KNOX_TOKEN_MODEL = "knox.AuthToken"  # noqa: S105
SPECTACULAR_SETTINGS = {
    "TITLE": "Connector Site",
    "DESCRIPTION": "What happened on the brands that a key may see: facts for auditors and other programs.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],  # the document holds no data; whoever reads it may have no key yet
    "PREPROCESSING_HOOKS": ["connector_site.api_schema.keep_api"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "connector_site.api_schema.free_members",
        "connector_site.api_schema.limit_values",
        "connector_site.api_schema.close_bodies",
        "connector_site.api_schema.add_examples",
        "connector_site.api_schema.add_errors",
    ],
    # Several things have a state or a kind: each of these sets of words gets the name of its own.
    "ENUM_NAME_OVERRIDES": {
        "ConnectorState": "installations.models.State",
        "ConversationState": "conversations.models.ConversationState",
        "DeliveryState": "webhooks.models.DeliveryState",
        "DispatchState": "conversations.models.DispatchState",
        "DispatchKind": "conversations.models.DispatchKind",
        "MessageKind": "conversations.models.MessageKind",
        "EventOutcome": "webhooks.models.EventOutcome",
        "AttemptOutcome": "conversations.models.Outcome",
        "Direction": "conversations.models.Direction",
        "FoundKind": "connector_site.find.api_views.KINDS",
    },
    # The docs page takes its scripts from our own host, not from a public one.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}


# --- language, time, files -------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static" if IS_PRODUCTION else None
# Production serves names that hold a digest, cached for ever; local mode serves straight from the packages, so that
# there is no step to forget.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA_DIR / "files"}},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
WHITENOISE_MAX_AGE = 300
WHITENOISE_ALLOW_ALL_ORIGINS = False
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Connector Site",
    "SITE_HEADER": "Connector Site",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "connector_site.admin_assets.icon"}],
    "SHOW_BACK_BUTTON": True,
    "STYLES": ["connector_site.admin_assets.style"],
    "SCRIPTS": ["connector_site.admin_assets.script"],
    "ACCOUNT": {"navigation": "connector_site.sidebar.account_links"},
    "SIDEBAR": {"navigation": "connector_site.sidebar.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.3% .012 231)",
            "100": "oklch(94.3% .026 231)",
            "200": "oklch(89.2% .051 231)",
            "300": "oklch(81.5% .09 231)",
            "400": "oklch(71.5% .125 233)",
            "500": "oklch(61.5% .133 236)",
            "600": "oklch(52.3% .122 239)",
            "700": "oklch(45.2% .104 240)",
            "800": "oklch(39.5% .086 240)",
            "900": "oklch(35% .07 241)",
            "950": "oklch(26% .05 243)",
        }
    },
}


# --- logs ------------------------------------------------------------------------------------------------------------

LOGGING_CONFIG = None  # configured below, so that gunicorn's master and Django end with one and the same form
logs.configure()


# --- the end ---------------------------------------------------------------------------------------------------------

if _troubles:
    raise ImproperlyConfigured("\n".join(_troubles))
