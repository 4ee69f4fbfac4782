-- Makes the role that dbintel connects as. PostgreSQL 13 to 18; takes less than a second and touches no table.
--
-- Run it once per server, as superuser, in the database that `connect_database` names (`postgres` by default), and then
-- give the role its password. `\password` sends a hash: the password itself reaches neither the server's log nor
-- pg_stat_statements.
--
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f setup.sql
--   psql -X -d postgres -c "SET password_encryption = 'scram-sha-256'" -c '\password dbintel'
--
-- All of it happens, or nothing. It may be run again at any time. drop.sql undoes it.
-- Then let the role in, in pg_hba.conf: hostssl all dbintel ADDRESS/MASK scram-sha-256

BEGIN;

DO $$
DECLARE
    found pg_roles;
BEGIN
    SELECT * INTO found FROM pg_roles WHERE rolname = 'dbintel';
    IF found.rolname IS NULL THEN
        CREATE ROLE dbintel;
    ELSIF found.rolsuper OR found.rolcreaterole OR found.rolcreatedb OR found.rolreplication OR found.rolbypassrls THEN
        RAISE EXCEPTION 'the role dbintel exists and may do more than look'
            USING HINT = 'Take its attributes away (ALTER ROLE dbintel NOSUPERUSER ...), or choose another name.';
    END IF;
END
$$;

-- dbintel uses a connection for the server, one for each database, one more if sessions are sampled and one if plans are
-- obtained, at most 5 by default (`connection_pool.max_open`), and tries one more for a moment after the server did not
-- answer. This is what stops it, and every other copy of it together, from using more. Raise it with that setting, and for
-- as long as `dbintel doctor` runs beside a collector with this role, since it takes as many.
ALTER ROLE dbintel LOGIN CONNECTION LIMIT 5;

-- Statistics, settings and other roles' statements; no table.
GRANT pg_monitor TO dbintel;

-- What holds where dbintel says nothing. In its own transactions it sets stricter limits itself; a person who logs in
-- with this role has these.
ALTER ROLE dbintel SET default_transaction_read_only = on;
ALTER ROLE dbintel SET statement_timeout = '5s';
ALTER ROLE dbintel SET lock_timeout = '100ms';
ALTER ROLE dbintel SET idle_in_transaction_session_timeout = '30s';

-- Keeps dbintel's own statements out of pg_stat_statements, where they would push out other statements. Only a superuser
-- may set it, or from PostgreSQL 15 on who has GRANT SET ON PARAMETER; managed services often have neither.
DO $$
BEGIN
    ALTER ROLE dbintel SET pg_stat_statements.track = 'none';
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'dbintel''s own statements will be counted in pg_stat_statements'
        USING HINT = 'As superuser: ALTER ROLE dbintel SET pg_stat_statements.track = ''none''';
END
$$;

CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

DO $$
BEGIN
    IF current_setting('pg_stat_statements.max', true) IS NULL THEN
        RAISE WARNING 'pg_stat_statements is not loaded: dbintel will see sessions and metrics, but no statements'
            USING HINT = 'Add pg_stat_statements to shared_preload_libraries and restart the server.';
    END IF;
END
$$;

COMMIT;

-- Every role may connect to every database unless somebody has changed that. Where it was revoked from PUBLIC, and
-- dbintel shall read tables' statistics there:
--
--   GRANT CONNECT ON DATABASE orders TO dbintel;
