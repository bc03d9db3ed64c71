"""The entry point of WSGI servers: `moeen.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
application = get_wsgi_application()
