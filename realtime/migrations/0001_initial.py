"""No table, but the permissions that Django makes of models."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Fleet",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
            ],
            options={
                "verbose_name": "real-time health",
                "verbose_name_plural": "real-time health",
                "db_table": "realtime_fleet",
                "permissions": (
                    ("operate_fleet", "Can send test updates and drain instances"),
                ),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
