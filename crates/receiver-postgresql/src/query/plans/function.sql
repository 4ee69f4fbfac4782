
-- Plans one statement and runs nothing of it. The inner block always ends in an error, so that all it did is undone, and
-- what goes wrong in it is not logged. The code says how it ended: DBI00, a refusal of this function, or the server's error.
--   DBI01  the owner of this function is a superuser
--   DBI02  the text does not begin like a statement that has a plan
--   DBI03  what the text names cannot be told from it
--   DBI04  planning could run a function that is neither the server's nor an extension's, row security is on for a table, or
--          planning could ask another server
--   DBI07  the caller owns something here
DECLARE
    line_ends CONSTANT text := chr(10) || chr(13);
    -- Blanks, opening parentheses and comments, then the verb. EXECUTE is not among the verbs: EXPLAIN runs its arguments.
    beginning CONSTANT text := '^([[:space:](]|--[^' || line_ends || ']*[' || line_ends || ']'
        || '|/[*]([^*/]|[*](?!/)|/(?![*]))*[*]/)*'
        || '(select|insert|update|delete|merge|values|with|table)([^[:alnum:]_$]|$)';
    -- These stand in texts as words, or as other signs: LIKE, IN, BETWEEN, NULLIF, !=.
    unwritten CONSTANT text[] := ARRAY['=', '<>', '<', '<=', '>', '>=', '~', '!~', '~~', '!~~', '~~*', '!~~*'];
    separators CONSTANT text := '((?![_$])[[:punct:][:space:][:cntrl:]])+';
    prepares CONSTANT boolean := parameters > 0 AND current_setting('server_version_num')::int < 160000;
    names text[];
    operators text[];
    schemas text[];
    preparation text;
    command text;
    line text;
BEGIN
    plan := '';
    BEGIN
        PERFORM set_config('transaction_read_only', 'on', true);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper) THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI01';
        END IF;
        IF (statement COLLATE "C") !~* beginning THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI02';
        END IF;

        -- PREPARE would take a second statement, and only a semicolon begins one. A cursor, below, takes no second one.
        IF strpos(lower(statement), 'u&"') > 0 OR strpos(statement, '""') > 0 OR prepares AND strpos(statement, ';') > 0 THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI03';
        END IF;

        -- Whoever may call this and can make objects could make one that planning runs: as the owner of this function.
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AND EXISTS (
            SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
                AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND d.refobjid IN (SELECT oid FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER'))) THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI07';
        END IF;

        -- Every word and everything between quotes: more names than there are in the text, never fewer.
        names := ARRAY(SELECT DISTINCT word::name::text FROM (
            SELECT regexp_split_to_table((lower(statement) || ' ' || lower(statement COLLATE "C")) COLLATE "C", separators)
            UNION ALL SELECT unnest(string_to_array(statement, '"'))) AS words (word));
        operators := ARRAY(SELECT oprname::text FROM pg_operator
            WHERE oprnamespace <> 'pg_catalog'::regnamespace
                AND (strpos(statement, oprname::text) > 0 OR oprname = ANY (unwritten)));
        schemas := ARRAY(SELECT nspname::text FROM pg_namespace);
        IF EXISTS (SELECT FROM (
{preflight}
            ) AS touched (relations, indexes, locks, guarded, functions, track, elsewhere)
                WHERE touched.functions OR touched.guarded OR touched.elsewhere) THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI04';
        END IF;

        command := 'EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) ' || statement;
        IF prepares THEN
            PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
            IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'dbintel_plan') THEN
                DEALLOCATE dbintel_plan;
            END IF;
            preparation := 'PREPARE dbintel_plan AS ' || statement;
            command := 'EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) EXECUTE dbintel_plan('
                || array_to_string(array_fill('NULL'::text, ARRAY[parameters]), ', ') || ')';
        ELSIF parameters > 0 THEN
            command := 'EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS, GENERIC_PLAN) ' || statement;
        END IF;

        -- From here on names mean what they mean to the statement: nothing of this function may follow that looks one up.
        PERFORM set_config('search_path', path, true);
        IF prepares THEN
            EXECUTE preparation;
        END IF;
        FOR line IN EXECUTE command LOOP
            plan := line;
        END LOOP;
        RAISE EXCEPTION USING ERRCODE = 'DBI00';
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        code := SQLSTATE;
    END;
    IF code <> 'DBI00' THEN
        plan := '';
    END IF;
    IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'dbintel_plan') THEN
        DEALLOCATE dbintel_plan;
    END IF;
END
