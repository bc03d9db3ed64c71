"""The entry point of ASGI servers: `moeen.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from moeen.application import guarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
application = guarded(get_asgi_application)
