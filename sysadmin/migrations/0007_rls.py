"""Row security of the system tables: the cluster's roles, who is asking, who may see and do what (older: part of 031)."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations
import moeen.db.roles


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0006_ledger"),
        # Django's own tables get row security as well, so they must stand.
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        # What the policies filter by.
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0007_indexes",
            state_operations=[
                migrations.AddIndex(
                    "role", moeen.db.constraints.Index(fields=["is_system"], name="roles_is_system_idx")
                ),
                migrations.AddIndex(
                    "setting", moeen.db.constraints.Index(fields=["is_public"], name="settings_is_public_idx")
                ),
            ],
        ),
        moeen.db.roles.CreateRoles(),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0007_identity",
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0007_rls",
        ),
        migrations.AlterModelOptions(
            name="user",
            options={"base_manager_name": "objects", "verbose_name": "user", "verbose_name_plural": "users"},
        ),
    ]
