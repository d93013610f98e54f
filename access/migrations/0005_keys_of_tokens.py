from django.db import migrations


def give_tokens_their_rows(apps, schema_editor):
    """A token without a row is refused: those that were made before go on as they were, for all that their owner sees."""
    api_key = apps.get_model("access", "ApiKey")
    tokens = apps.get_model("knox", "AuthToken").objects.filter(expiry__isnull=False)
    api_key.objects.bulk_create(
        api_key(
            owner_id=token.user_id,
            token_id=token.pk,
            name="key",
            prefix=token.token_key,
            created_at=token.created,
            expires_at=token.expiry,
        )
        for token in tokens.iterator()
    )


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0004_api_keys'),
        ('knox', '0009_extend_authtoken_field'),
    ]

    operations = [
        migrations.RunPython(give_tokens_their_rows, migrations.RunPython.noop),
    ]
