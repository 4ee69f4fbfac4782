-- A function by which dbintel gets plans of statements that its role may not run.
--
-- dbintel.explain plans one statement, never runs it, and has the rights of its owner for it: a role that nobody can log
-- in as. The collector's role may call it and needs no rights on any table. dbintel.explain_value plans one for a value that
-- the statistics of the server give, and keeps the value to itself.
--
-- Run this as a superuser in every database whose statements are to be explained:
--     psql -X -v ON_ERROR_STOP=1 -d DATABASE -f THIS_FILE
-- All of it happens, or nothing. It may be run again at any time; before version 14 it has to be when there are new
-- tables. To have less planned, give {owner} less below; never make it a member of a role that somebody logs in as, nor
-- a superuser. What removes it: dbintel doctor --plan-function drop

BEGIN;

DO $dbintel$
DECLARE
    of_schema name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {owner_name}) THEN
        CREATE ROLE {owner} NOLOGIN;
    END IF;
    -- What a statement may do is asked of the owner before its plan is told, also of one that writes.
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_write_all_data') THEN
        GRANT pg_read_all_data, pg_write_all_data TO {owner};
    ELSE
        FOR of_schema IN SELECT nspname FROM pg_catalog.pg_namespace
            WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dbintel')
        LOOP
            EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO {owner}', of_schema);
            EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO {owner}', of_schema);
        END LOOP;
    END IF;
END $dbintel$;

CREATE SCHEMA IF NOT EXISTS dbintel;
CREATE OR REPLACE FUNCTION dbintel.explain(statement text, parameters integer, path text, OUT code text, OUT plan text)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET debug_print_parse = off SET debug_print_rewritten = off SET debug_print_plan = off
AS $dbintel${body}$dbintel$;
CREATE OR REPLACE FUNCTION dbintel.explain_value(statement text, parameters integer, path text, kind text, OUT code text,
    OUT parameter integer, OUT relation text, OUT column_name text, OUT frequency float8, OUT plan text)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET debug_print_parse = off SET debug_print_rewritten = off SET debug_print_plan = off
AS $dbintel${value_body}$dbintel$;

ALTER FUNCTION dbintel.explain(text, integer, text) OWNER TO {owner};
ALTER FUNCTION dbintel.explain_value(text, integer, text, text) OWNER TO {owner};
REVOKE ALL ON FUNCTION dbintel.explain(text, integer, text), dbintel.explain_value(text, integer, text, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA dbintel TO {collector}, {owner};
GRANT EXECUTE ON FUNCTION dbintel.explain(text, integer, text), dbintel.explain_value(text, integer, text, text) TO {collector};

COMMIT;
