-- Undoes setup.sql: takes the role dbintel away with all its privileges. PostgreSQL 13 to 18.
--
-- Stop every dbintel that uses the role first. Run it as superuser, in the same database as setup.sql:
--
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f drop.sql
--
-- If the function for plans was installed, remove it first, in every database that has it, with what
-- `dbintel doctor --plan-function drop --config FILE` prints: it has an owner of its own, dbintel_explain, and stays otherwise.
--
-- All of it happens, or nothing. It drops no object: if the role owns any, it says so and stops. If the role was granted
-- something inside another database, it names the database and stops; run DROP OWNED BY dbintel there and come back.
--
-- The extension stays: other tools may use it, and dropping it loses what it has counted. If nothing else needs it:
--
--   DROP EXTENSION pg_stat_statements;

BEGIN;

DO $$
DECLARE
    collector oid := (SELECT oid FROM pg_roles WHERE rolname = 'dbintel');
BEGIN
    IF collector IS NULL THEN
        RAISE NOTICE 'there is no role dbintel';
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = collector) THEN
        RAISE EXCEPTION 'the role dbintel is connected'
            USING HINT = 'Stop every dbintel that uses it: SELECT pid, client_addr FROM pg_stat_activity WHERE usename = ''dbintel''';
    END IF;
    IF EXISTS (SELECT FROM pg_shdepend
               WHERE refclassid = 'pg_authid'::regclass AND refobjid = collector AND deptype = 'o') THEN
        RAISE EXCEPTION 'the role dbintel owns objects, which it should not'
            USING HINT = 'Look at them, then give them to somebody: REASSIGN OWNED BY dbintel TO ...';
    END IF;
    -- It owns nothing, so this revokes privileges only: in this database and on databases, settings and tablespaces.
    IF EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = collector) THEN
        DROP OWNED BY dbintel;
    END IF;
    DROP ROLE dbintel;
END
$$;

COMMIT;
