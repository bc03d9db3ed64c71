"""Identity that cannot be forged: keys, signed bindings, functions whose names cannot be taken over."""

from django.db import migrations

import moeen.db.operations
import moeen.db.security.signing


class Migration(migrations.Migration):
    dependencies = [
        ("sysadmin", "0007_rls"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0008_identity",
            replaces=["0001_functions", "0004_audit", "0005_public_id_aliases", "0007_identity"],
        ),
        moeen.db.security.signing.EnsureIdentityKey(),
    ]
