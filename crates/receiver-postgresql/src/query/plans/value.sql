
-- Plans one statement for one value of one parameter, which the statistics of the server give: the most common one of the
-- column it is compared with (frequent), or one that they have not seen (absent). The value stays in here: out come the
-- outline of the plan, which parameter and column it was, and how frequent the value is. The codes are those of
-- dbintel.explain, by which everything is planned, and two of its own:
--   DBI05  pg_stat_statements would keep what is planned in here
--   DBI06  no parameter is compared with a column of which there is such a value
DECLARE
    -- Members of a node that hold no expression.
    kept CONSTANT text[] := ARRAY['Plans', 'Node Type', 'Parent Relationship', 'Subplan Name', 'Parallel Aware', 'Async Capable',
        'Startup Cost', 'Total Cost', 'Plan Rows', 'Plan Width', 'Relation Name', 'Schema', 'Alias', 'Index Name', 'Function Name',
        'CTE Name', 'Scan Direction', 'Custom Plan Provider', 'Join Type', 'Strategy', 'Partial Mode', 'Command', 'Operation',
        'Subplans Removed'];
    -- alias.column = $1, as the server prints it: with casts and brackets.
    comparison CONSTANT text := '([^ (]+)[.]("[^"]+"|[[:alnum:]_]+)[)]?(?:::[[:alnum:] _]+)? = [(]?[$]([0-9]+)';
    planned record;
    chosen record;
    of_type record;
    known text[];
    chosen_value text;
    pieces text[];
    outline jsonb;
    unwanted text[];
BEGIN
    plan := '';
    BEGIN
        IF current_setting('pg_stat_statements.track', true) = 'all' THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI05';
        END IF;

        -- Where every $1 is a parameter: no literals, no comments but the server's own, no such names.
        statement := replace(statement, '/*, ... */', '');
        IF strpos(statement, chr(39)) > 0 OR strpos(statement, '--') > 0 OR strpos(statement, '/*') > 0
            OR statement ~ '[[:alnum:]_][$]|[$]([^0-9]|$)'
            OR EXISTS (SELECT FROM unnest(string_to_array(statement, '"')) WITH ORDINALITY AS parts (part, place)
                WHERE place % 2 = 0 AND strpos(part, '$') > 0) THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI03';
        END IF;

        SELECT e.code, e.plan INTO planned FROM dbintel.explain(statement, parameters, path) AS e;
        IF planned.code <> 'DBI00' THEN
            RAISE EXCEPTION USING ERRCODE = planned.code;
        END IF;

        -- The parameter whose column has the most frequent value.
        WITH RECURSIVE node (fields) AS (
            SELECT planned.plan::jsonb #> ARRAY['0', 'Plan']
            UNION ALL SELECT child FROM node, jsonb_array_elements(node.fields -> 'Plans') AS children (child)),
        compared AS (
            SELECT fields ->> 'Schema' AS of_schema, fields ->> 'Relation Name' AS of_relation, btrim(part[2], '"') AS of_column,
                part[3]::int AS number
            FROM node,
                LATERAL (VALUES (fields ->> 'Index Cond'), (fields ->> 'Recheck Cond'), (fields ->> 'Filter')) AS conditions (condition),
                LATERAL regexp_matches(condition, comparison, 'g') AS matches (part)
            WHERE part[1] = quote_ident(fields ->> 'Alias'))
        SELECT c.of_schema, c.of_relation, c.of_column, c.number, s.most_common_freqs[1]::float8 AS share,
            s.most_common_vals::text::text[] AS common, coalesce(s.histogram_bounds::text::text[], ARRAY[]::text[]) AS bounds
            INTO chosen
            FROM compared c JOIN pg_stats s ON s.schemaname = c.of_schema AND s.tablename = c.of_relation
                AND s.attname = c.of_column AND NOT s.inherited
            WHERE s.most_common_vals IS NOT NULL AND c.number BETWEEN 1 AND parameters
            ORDER BY s.most_common_freqs[1] DESC, c.number, c.of_relation LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI06';
        END IF;
        SELECT t.oid, t.typcategory INTO of_type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = chosen.of_schema AND c.relname = chosen.of_relation AND a.attname = chosen.of_column;

        known := chosen.common || chosen.bounds;
        chosen_value := CASE
            WHEN kind = 'frequent' THEN chosen.common[1]
            WHEN of_type.typcategory = 'N' THEN (SELECT (max(v::numeric) + 1)::text FROM unnest(known) AS seen (v))
            WHEN of_type.typcategory = 'S' THEN (SELECT max(v COLLATE "C") || '~' FROM unnest(known) AS seen (v))
            WHEN of_type.typcategory = 'D' THEN (SELECT (max(v::timestamptz) + '1 day')::text FROM unnest(known) AS seen (v))
            WHEN of_type.typcategory = 'B' THEN (SELECT v FROM unnest(ARRAY['t', 'f']) AS labels (v) WHERE v <> ALL (known) LIMIT 1)
            WHEN of_type.typcategory = 'E' THEN (SELECT enumlabel::text FROM pg_enum
                WHERE enumtypid = of_type.oid AND enumlabel::text <> ALL (known) ORDER BY enumsortorder LIMIT 1)
            END;
        IF chosen_value IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'DBI06';
        END IF;

        -- The last parameter takes the number that becomes free.
        pieces := ARRAY(SELECT array_to_string(regexp_split_to_array(piece, '[$]' || parameters || '(?![0-9])'), '$' || chosen.number)
            FROM unnest(regexp_split_to_array(statement, '[$]' || chosen.number || '(?![0-9])')) WITH ORDINALITY AS cut (piece, place)
            ORDER BY place);
        SELECT e.code, e.plan INTO planned
            FROM dbintel.explain(array_to_string(pieces, ' ' || quote_literal(chosen_value) || ' '), parameters - 1, path) AS e;
        IF planned.code <> 'DBI00' THEN
            RAISE EXCEPTION USING ERRCODE = planned.code;
        END IF;

        outline := planned.plan::jsonb #> ARRAY['0', 'Plan'];
        FOR unwanted IN WITH RECURSIVE node (place, fields) AS (
            SELECT ARRAY[]::text[], outline
            UNION ALL SELECT node.place || ARRAY['Plans', (number - 1)::text], child
                FROM node, jsonb_array_elements(node.fields -> 'Plans') WITH ORDINALITY AS children (child, number))
            SELECT node.place || member FROM node, jsonb_object_keys(node.fields) AS members (member) WHERE member <> ALL (kept)
        LOOP
            outline := outline #- unwanted;
        END LOOP;
        plan := jsonb_build_array(jsonb_build_object('Plan', outline))::text;
        code := 'DBI00';
        parameter := chosen.number;
        relation := chosen.of_schema || '.' || chosen.of_relation;
        column_name := chosen.of_column;
        frequency := CASE WHEN kind = 'frequent' THEN chosen.share ELSE 0 END;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        code := SQLSTATE;
        plan := '';
    END;
END
