"""Sign-ins in the audit log: who came and went, in which role, who tried and could not."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0017_audit_seals"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="sysadmin", name="0018_sign_ins"),
    ]
