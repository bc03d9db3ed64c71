"""All settings of the project. Every value that differs between installations is read through `env.py`."""

from __future__ import annotations

import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import global_settings

from moeen.db import secret_files
from moeen.db.security import identity, signing, web_login
from moeen.env import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")


def _development_key() -> str:
    """A key for this checkout, made once. Its prefix lets `check --deploy` tell it from a real one."""
    path = BASE_DIR / ".moeen" / "secret_key"
    made = f"django-insecure-{secrets.token_urlsafe(48)}"
    if not secret_files.read_if_may(path):
        # Two processes at once: the first one's stays. A folder that cannot be written: it lives with the process.
        with suppress(OSError):
            secret_files.write(path, made, first_stays=True)
    return secret_files.read_if_may(path) or made


SECRET_KEY = env.text("SECRET_KEY")
_installed = bool(SECRET_KEY)
SECRET_KEY = SECRET_KEY or _development_key()
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")

# Off unless asked for, so that no installation shows its insides by omission, and commands do not keep every
# query in memory. The one exception is `runserver` without a SECRET_KEY: nobody but a developer runs that,
# and the admin needs DEBUG to find its style sheets there.
DEBUG = env.flag("DEBUG", default=not _installed and sys.argv[1:2] == ["runserver"])
# Without a SECRET_KEY nobody is served but this machine.
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or ([] if _installed else ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# With a SECRET_KEY and without DEBUG this is an installation that people reach: encrypted unless told
# otherwise.
_secure = _installed and not DEBUG
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=_secure)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SECURE_PROXY_SSL_HEADER = env.header("SECURE_PROXY_SSL_HEADER")
# Where a proxy says whose request it hands on; "": the address of who connects is the client's.
CLIENT_ADDRESS_HEADER = env.header_name("CLIENT_ADDRESS_HEADER")
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
X_FRAME_OPTIONS = "DENY"
# Seconds after which a session ends: without a request, and in any case.
SESSION_IDLE_SECONDS = 60 * env.integer("SESSION_IDLE_MINUTES", default=30, least=1)
SESSION_COOKIE_AGE = 3600 * env.integer("SESSION_MAX_HOURS", default=12, least=1)

# The hosted project, if there is one. With SUPABASE_PROJECT_REF, a DATABASE_URL of another project is
# refused.
SUPABASE_URL = env.web_address("SUPABASE_URL")
SUPABASE_ANON_KEY = env.text("SUPABASE_ANON_KEY")
SUPABASE_SERVICE_ROLE_KEY = env.text("SUPABASE_SERVICE_ROLE_KEY")
SUPABASE_PROJECT_REF = env.label("SUPABASE_PROJECT_REF")

# Commands say what they would do, and change nothing (moeen/dry_run.py).
DRY_RUN = env.flag("DRY_RUN", default=False)

EMBEDDED_DATA_DIR = env.folder("EMBEDDED_DATA_DIR", relative_to=BASE_DIR)
_database: dict[str, Any] = env.database("DATABASE_URL") or {
    "EMBEDDED": True,
    "NAME": "moeen",
    "USER": "moeen",
}
# Whoever serves requests does so with a login that owns nothing; commands are the owner's. On the embedded server
# `migrate` makes that login.
_web_database = env.database("WEB_DATABASE_URL")
if _web_database is None and _database.get("EMBEDDED"):
    _web_database = _database | {"USER": web_login.name_for(_database["NAME"])}
# Its name in the database; a hosted pooler's users carry the project's reference. "": the web has none of its own.
WEB_LOGIN = web_login.named(_web_database, project=SUPABASE_PROJECT_REF)
_serves = not identity.operates()
if _web_database and _serves:
    _database = _web_database
_pooled = env.flag("DATABASE_POOLED", default=_database.get("DISABLE_SERVER_SIDE_CURSORS", False))
# What serving processes sign identities with. For the embedded server, migrate keeps the database's key in a file, one
# for each place of its data.
IDENTITY_KEY_FILE = (
    signing.key_file(BASE_DIR / ".moeen", data_dir=EMBEDDED_DATA_DIR) if _database.get("EMBEDDED") else None
)
IDENTITY_KEY = env.identity_key("IDENTITY_KEY") or (
    secret_files.read_if_may(IDENTITY_KEY_FILE) if IDENTITY_KEY_FILE else ""
)
_usual = {"ENGINE": "moeen.db.engine", "PROJECT_REF": SUPABASE_PROJECT_REF, "IDENTITY_KEY": IDENTITY_KEY}
# Values of a request, session keys among them, stay out of the texts of its statements: every session of the login
# reads those in pg_stat_activity.
_apart = {"server_side_binding": True} if _serves else {}
# A worker that waits for longer is ended by its server, and the statement would go on.
_patience = env.integer("STATEMENT_SECONDS", default=20, least=1) if _serves else 0
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_usual,
        # One request, one transaction: half a change of a page never stays, and an identity that is bound to
        # the transaction holds for the whole request. Commands say for themselves where theirs begin.
        "ATOMIC_REQUESTS": True,
        **_database,
        "OPTIONS": _database.get("OPTIONS", {}) | _apart,
        "POOLED": _pooled,
        "PATIENCE": _patience,
        "DISABLE_SERVER_SIDE_CURSORS": _pooled,
        "SERVES": _serves,
    }
}
# Standbys that pages may be read from (docs/high-availability.md), by the web's login: Django's alias -> its entry. The
# middleware opens their transactions; commands only look at them (doctor). A dead one is given up soon.
STANDBYS: dict[str, dict[str, Any]] = {
    f"standby_{number}": {
        **_usual,
        "CONN_MAX_AGE": 60,
        **entry,
        "OPTIONS": {"connect_timeout": 2, "tcp_user_timeout": 1000} | entry["OPTIONS"] | _apart,
        "PATIENCE": _patience,
        "SERVES": _serves,
    }
    for number, entry in enumerate(env.databases("DATABASE_REPLICA_URLS"), start=1)
}
REPLICA_MAX_LAG = env.integer("DATABASE_REPLICA_MAX_LAG", default=5, least=1)
DATABASES |= STANDBYS
DATABASE_ROUTERS = ["moeen.db.standbys.Router"] if STANDBYS and _serves else []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # The project's apps stand before Django's: where two have a command of the same name, the first one's
    # counts.
    "sysadmin",
    "healthcare",
    "chatbot",
    "crm",
    "moeen.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
AUTH_USER_MODEL = "sysadmin.User"
# Called with the admin's site once the apps have registered their pages.
ADMIN_REGISTRAR = "sysadmin.admin.derived.register_the_rest"
# Both work as moeen_auth, the one role that may read what they need.
AUTHENTICATION_BACKENDS = ["sysadmin.auth.Backend"]
# New hashes are the first one's; older applications' bcrypt is read.
PASSWORD_HASHERS = [*global_settings.PASSWORD_HASHERS, "sysadmin.hashers.Bcrypt"]
SESSION_ENGINE = "sysadmin.sessions"
# E003 and W004 want email unique; it is, without regard to case (users_email_lower_key), which no check can see.
SILENCED_SYSTEM_CHECKS = ["auth.E003", "auth.W004"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# Wrong passwords within a quarter of an hour, after which nobody signs in to the account, or from the address.
SIGN_IN_TRIES = env.integer("SIGN_IN_TRIES", default=10, least=1)
SIGN_IN_TRIES_OF_ADDRESS = env.integer("SIGN_IN_TRIES_OF_ADDRESS", default=100, least=1)
# Who may not sign in without a second factor; "optional": nobody is asked for one who has not set one up.
SECOND_FACTOR = env.choice(
    "SECOND_FACTOR",
    "optional",
    "administrators",
    "everybody",
    default="administrators" if _secure else "optional",
)
SECOND_FACTOR_ENGINE = "sysadmin.second_factors"
# A link by mail with which to set a password anew lasts an hour. Without EMAIL_URL an installation sends none, and a
# developer's server prints them.
PASSWORD_RESET_TIMEOUT = 3600
_mail = env.mail("EMAIL_URL")
SENDS_LETTERS = bool(_mail) or not _installed
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _mail else 'console'}.EmailBackend"
EMAIL_HOST, EMAIL_PORT = _mail.get("host", ""), _mail.get("port", 0)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.get("user", ""), _mail.get("password", "")
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("starttls", False), _mail.get("tls", False)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", default="moeen@localhost")
# What processes that serve write: counts of tries under keyed hashes, and of requests. Shared by those of a machine.
CACHE_DIR = env.folder("CACHE_DIR", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "cache"
# With a token, who brings it is told how the service does (moeen/metrics.py), and what `doctor --metrics FILE` saw.
METRICS_TOKEN = env.token("METRICS_TOKEN")
METRICS_DIR = CACHE_DIR / "metrics"
METRICS_FILE = env.folder("METRICS_FILE", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "doctor.prom"
# No page takes a file: one that is sent all the same is not read.
FILE_UPLOAD_HANDLERS = ["moeen.uploads.NoFiles"]
CSRF_FAILURE_VIEW = "moeen.error_pages.expired"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / ".moeen" / "static"
# `make serve` collects the style sheets and scripts, under names that hold a hash of what is in them.
_collects = sys.argv[1:2] == ["collectstatic"]
_collected = (STATIC_ROOT / "staticfiles.json").is_file() and _serves and not DEBUG

MIDDLEWARE = [
    "moeen.health.HealthMiddleware",
    "moeen.metrics.MetricsMiddleware",
    "moeen.access_log.AccessLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    *(["whitenoise.middleware.WhiteNoiseMiddleware"] if _collected else []),
    "moeen.headers.HeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "moeen.sessions.SessionLimitsMiddleware",
    "moeen.preferences.PreferencesMiddleware",
    "moeen.looking.LookingMiddleware",
    "moeen.middleware.IdentityMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "moeen.urls"
WSGI_APPLICATION = "moeen.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "ar"
LANGUAGES = [("ar", "العربية"), ("en", "English")]
FORMAT_MODULE_PATH = "moeen.formats"
TIME_ZONE = "Asia/Riyadh"
USE_TZ = True

# Where backups go: a folder, or any storage of Django's. Hours after which a missing newer one is worth a warning.
BACKUP_DIR = env.folder("BACKUP_DIR", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "backups"
BACKUP_MAX_AGE = env.integer("BACKUP_MAX_AGE", default=26, least=1)
BACKUP_RECIPIENTS = env.words("BACKUP_RECIPIENTS")
BACKUP_IDENTITY = env.folder("BACKUP_IDENTITY", relative_to=BASE_DIR)
# What backups are signed with, and what signatures are checked with; without the latter, the file beside the former.
BACKUP_SIGNING_KEY = env.folder("BACKUP_SIGNING_KEY", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "backup.key"
BACKUP_PUBLIC_KEYS = env.words("BACKUP_PUBLIC_KEYS")
_backup_storage = env.text("BACKUP_STORAGE")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _collects or _collected
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
    "backups": {"BACKEND": _backup_storage, "OPTIONS": env.mapping("BACKUP_STORAGE_OPTIONS")}
    if _backup_storage
    else {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": BACKUP_DIR}},
}

# The archive of the server's write-ahead log (docs/archive.md): whether, where, how much, and by which login.
ARCHIVE = env.flag("ARCHIVE", default=bool(_database.get("EMBEDDED")))
ARCHIVE_DIR = env.folder("ARCHIVE_DIR", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "archive"
ARCHIVE_DAYS = env.integer("ARCHIVE_DAYS", default=7, least=1)
ARCHIVE_GB = env.integer("ARCHIVE_GB", default=5, least=1)
ARCHIVE_DATABASE_URL = env.text("ARCHIVE_DATABASE_URL")
# What is received and not put away yet: as plain as the database's own files, and so on this machine.
ARCHIVE_STATE = env.folder("ARCHIVE_STATE", relative_to=BASE_DIR) or BASE_DIR / ".moeen" / "archivist"

# The clinics that manage.py fleet looks after (docs/fleet.md).
FLEET_FILE = env.folder("FLEET_FILE", relative_to=BASE_DIR) or BASE_DIR / "fleet.toml"

# Where seals of the audit log are kept outside of the database: a file, or an address (docs/audit.md).
AUDIT_ANCHOR = env.text("AUDIT_ANCHOR")

# Who is told how a backup, its verification, a restore or a migration ended: a URL or a command (moeen/db/alarm.py).
ON_FAILURE = env.receiver("ON_FAILURE")
ON_SUCCESS = env.receiver("ON_SUCCESS")

# What may differ from the expected catalog: "kind object" of a finding, with * and ? -> the reason why.
SCHEMA_ALLOWED = env.reasons("SCHEMA_ALLOWED")

LOG_DIR = env.folder("LOG_DIR", relative_to=BASE_DIR) or BASE_DIR / "logs"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "moeen.error_log.Formatter", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "access": {"class": "logging.StreamHandler", "formatter": "bare"},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # runserver has lines of its own.
        "moeen.access": {"handlers": ["access"], "level": "WARNING" if DEBUG else "INFO", "propagate": False},
        # Its warnings repeat what the server said, values of rows with it; what matters is raised.
        "psycopg": {"level": "ERROR"},
    },
}
