"""The entry point of WSGI servers: `moeen.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

from moeen.application import guarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
application = guarded(get_wsgi_application)
