"""Row security of healthcare: who may see and do what (older: part of 031)."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):

    dependencies = [
        ('healthcare', '0003_audit'),
        ('sysadmin', '0007_rls'),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label='healthcare',
            name='0004_rls',
        ),
    ]
