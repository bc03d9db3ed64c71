"""Which stored passwords sign in: the comment says it."""

from django.db import migrations, models

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0011_adoption"),
    ]

    operations = [
        moeen.db.operations.AlterColumn(
            model_name="user",
            name="password",
            field=models.CharField(
                blank=True,
                db_column="password_hash",
                db_comment="A secret: a password hash, never shown or logged. NULL: this user cannot sign in with a password. Bcrypt of older applications is read, and hashed anew when its person signs in.",
                max_length=255,
                null=True,
                verbose_name="password",
            ),
        ),
    ]
