-- Removes dbintel.explain, dbintel.explain_value and what came with it.
--
-- Run this as a superuser in every database that has it:
--     psql -X -v ON_ERROR_STOP=1 -d DATABASE -f THIS_FILE
-- The role {owner} is dropped in the last of them, unless it has anything besides.

BEGIN;

DROP FUNCTION IF EXISTS dbintel.explain(text, integer, text), dbintel.explain_value(text, integer, text, text);
DO $dbintel$
DECLARE
    of_schema name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND n.nspname = 'dbintel') THEN
        DROP SCHEMA IF EXISTS dbintel;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {owner_name}) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_write_all_data') THEN
        FOR of_schema IN SELECT nspname FROM pg_catalog.pg_namespace
            WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dbintel')
        LOOP
            EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM {owner}', of_schema);
            EXECUTE pg_catalog.format('REVOKE USAGE ON SCHEMA %I FROM {owner}', of_schema);
        END LOOP;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
        WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = {owner_name}
            AND d.classid <> 'pg_catalog.pg_auth_members'::regclass) THEN
        DROP ROLE {owner};
    END IF;
END $dbintel$;

COMMIT;
