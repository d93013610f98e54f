from django.db import migrations

# For everybody who speaks to the database by a plain statement, whoever they are. The one change that is lawful takes
# words out of the two columns in which people write (audit.api.mask); and even then the old text has to match the new
# one with anything in the place of its masks, so that nothing can be written into an entry, only taken out of it.
GUARD = r"""
CREATE OR REPLACE FUNCTION audit_entry_guard() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $guard$
DECLARE
    unmasked record;
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('connector_site.masking', true) = 'on' THEN
        unmasked := OLD;
        unmasked.reason := NEW.reason;
        unmasked.subject_name := NEW.subject_name;
        IF unmasked *= NEW
           AND OLD.reason LIKE audit_entry_masked(NEW.reason)
           AND OLD.subject_name LIKE audit_entry_masked(NEW.subject_name) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'Masking takes words out of reason and subject_name of an audit entry; nothing else changes.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RAISE EXCEPTION 'The audit trail is append-only: % of audit_auditentry is refused.', TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Correct an act by another act. Only the erasure of a consumer takes words out of entries.';
END
$guard$;

CREATE OR REPLACE FUNCTION audit_entry_masked(text) RETURNS text LANGUAGE sql IMMUTABLE AS $masked$
    SELECT replace(replace(replace(replace($1, '\', '\\'), '%', '\%'), '_', '\_'), '•••', '%')
$masked$;

CREATE OR REPLACE TRIGGER audit_entry_unchanged BEFORE UPDATE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_guard();
CREATE OR REPLACE TRIGGER audit_entry_kept BEFORE DELETE OR TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_guard();
"""
NO_GUARD = """
DROP TRIGGER audit_entry_kept ON audit_auditentry;
DROP TRIGGER audit_entry_unchanged ON audit_auditentry;
DROP FUNCTION audit_entry_guard();
DROP FUNCTION audit_entry_masked(text);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0002_api_keys'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
