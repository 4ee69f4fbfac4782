//! Statements of many forms, as an application sends them: the world they run in, and the statements.

use dbintel_testkit::postgres::Cluster;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use super::client::send;

/// Tables, views, functions, and a role whose sessions have settings of their own.
const WORLD: &str = "
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id int PRIMARY KEY, name text, born date, doc jsonb, tags text[], active bool);
CREATE TABLE shop.invoice (id bigint PRIMARY KEY, customer_id int REFERENCES shop.customer, total numeric,
    made timestamptz DEFAULT now(), state text);
CREATE INDEX ON shop.invoice (customer_id); CREATE INDEX ON shop.invoice (made);
CREATE TABLE shop.event (at timestamptz, kind int, payload jsonb) PARTITION BY RANGE (at);
CREATE TABLE shop.event_1 PARTITION OF shop.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE shop.event_2 PARTITION OF shop.event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE VIEW shop.open_invoice AS SELECT * FROM shop.invoice WHERE state = 'open';
CREATE MATERIALIZED VIEW shop.per_customer AS SELECT customer_id, sum(total) AS total FROM shop.invoice GROUP BY 1;
CREATE TABLE public.hidden (id int);
CREATE TABLE public.guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE public.marks (id int);
CREATE SEQUENCE public.effects;
CREATE TABLE public.wide (id int, at int) PARTITION BY LIST (id);
CREATE FUNCTION leaves_a_mark(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS
    'BEGIN INSERT INTO public.marks VALUES (n); PERFORM nextval(''public.effects''); RETURN n; END';
CREATE FUNCTION raises(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN IF session_user = ''dbintel'' THEN RAISE EXCEPTION ''canary of %'', n; END IF; RETURN n; END';
CREATE VIEW public.behind AS SELECT raises(7) AS n;
CREATE ROLE web LOGIN SUPERUSER; ALTER ROLE web SET search_path = shop, public;
ALTER ROLE web SET enable_seqscan = off; ALTER ROLE web SET work_mem = '7MB';
INSERT INTO shop.customer SELECT n, 'c' || n, '2000-01-01', '{}', '{a}', true FROM generate_series(1, 500) n;
INSERT INTO shop.invoice SELECT n, 1 + n % 500, n, '2020-01-01'::timestamptz + n * interval '1 minute', 'open'
    FROM generate_series(1, 5000) n;
INSERT INTO shop.event SELECT '2020-06-01', n, '{}' FROM generate_series(1, 100) n;
ANALYZE;
GRANT USAGE ON SCHEMA shop TO dbintel;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop, public TO dbintel;
REVOKE ALL ON public.hidden FROM dbintel";

/// Statements with values in them, which the server replaces by parameters. The first ones are those that normalising
/// makes hard to plan.
pub const LITERALS: &[&str] = &[
    "SELECT now() - interval '1 day' FROM customer",
    "SELECT id FROM customer WHERE born > date '1990-01-01'",
    "SELECT id FROM invoice WHERE made > timestamp with time zone '2020-01-01 00:00:00+00'",
    "SELECT extract(year FROM made) FROM invoice WHERE id = 4",
    "SELECT extract(epoch FROM made) FROM invoice WHERE id = 4",
    "SELECT n FROM generate_series(1, 10) n",
    "SELECT unnest('{1,2}'::int[])",
    "SELECT 1 + 2",
    "SELECT 1 + 2 * 3 - 4 FROM customer",
    "SELECT id FROM customer WHERE ('a' IS NULL OR name = 'a')",
    "SELECT date_trunc('day', made), count(*) FROM invoice GROUP BY date_trunc('day', made)",
    "SELECT date_trunc('day', made), count(*) FROM invoice GROUP BY 1 ORDER BY date_trunc('day', made) DESC",
    "SELECT DISTINCT id % 7 FROM invoice ORDER BY id % 7",
    "SELECT id / 10 * 2, count(*) FROM customer GROUP BY id / 10 * 2",
    "SELECT jsonb_build_object('a', id, 'b', 2) FROM customer",
    "SELECT id FROM customer WHERE id IN (1, 2, 3, 4, 5)",
    "SELECT id FROM customer WHERE id IN (1, 2, 3, 4, 5) ORDER BY name LIMIT 10 OFFSET 5",
    "SELECT count(1) FROM customer",
    "SELECT CAST('2020-01-01' AS date)",
    "SELECT '2020-01-01'::date - born FROM customer",
    "SELECT id FROM customer WHERE id = 1",
    "SELECT * FROM customer WHERE name LIKE 'c1%' ORDER BY born DESC LIMIT 3",
    "SELECT name, upper(name), length(name) FROM customer WHERE active",
    "SELECT DISTINCT state FROM invoice",
    "SELECT customer_id, sum(total), avg(total), max(made) FROM invoice GROUP BY customer_id HAVING sum(total) > 100",
    "SELECT c.name, i.total FROM customer c JOIN invoice i ON i.customer_id = c.id WHERE c.id = 3",
    "SELECT c.name FROM customer c LEFT JOIN invoice i ON i.customer_id = c.id WHERE i.id IS NULL",
    "SELECT name FROM customer c WHERE EXISTS (SELECT 1 FROM invoice i WHERE i.customer_id = c.id AND total > 10)",
    "SELECT name FROM customer WHERE id NOT IN (SELECT customer_id FROM invoice WHERE state = 'paid')",
    "SELECT name, (SELECT count(*) FROM invoice i WHERE i.customer_id = c.id) FROM customer c WHERE id < 5",
    "WITH top AS (SELECT customer_id, sum(total) t FROM invoice GROUP BY 1 ORDER BY 2 DESC LIMIT 5) SELECT * FROM top",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "WITH gone AS (DELETE FROM invoice WHERE id = 4999 RETURNING *) SELECT count(*) FROM gone",
    "SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY made) FROM invoice WHERE id < 50",
    "SELECT id, lag(total, 1, 0.0) OVER w FROM invoice WHERE id < 9 WINDOW w AS (ORDER BY id)",
    "SELECT id FROM customer UNION SELECT customer_id FROM invoice",
    "SELECT id FROM customer WHERE id < 4 INTERSECT SELECT customer_id FROM invoice",
    "SELECT id FROM customer EXCEPT SELECT customer_id FROM invoice WHERE id > 3",
    "VALUES (1, 'a'), (2, 'b')",
    "TABLE per_customer",
    "SELECT * FROM open_invoice WHERE total > 4990",
    "SELECT * FROM per_customer WHERE customer_id = 7",
    "SELECT doc->>'a' FROM customer WHERE doc @> '{\"a\": 1}'",
    "SELECT doc #>> '{a,b}', doc ? 'x' FROM customer WHERE id = 2",
    "SELECT id FROM customer WHERE tags && ARRAY['a', 'b']",
    "SELECT id FROM customer WHERE 'a' = ANY (tags)",
    "SELECT id FROM invoice WHERE made BETWEEN '2020-01-01' AND '2020-01-02'",
    "SELECT CASE WHEN total > 10 THEN 'big' ELSE 'small' END, count(*) FROM invoice GROUP BY 1",
    "SELECT coalesce(name, 'none') FROM customer WHERE nullif(name, 'x') IS NOT NULL",
    "SELECT string_agg(name, ', ' ORDER BY name) FROM customer WHERE id < 4",
    "SELECT array_agg(id) FILTER (WHERE active) FROM customer",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM invoice",
    "SELECT state, customer_id, sum(total) FROM invoice GROUP BY GROUPING SETS ((state), (customer_id), ())",
    "SELECT state, sum(total) FROM invoice GROUP BY ROLLUP (state)",
    "SELECT c.id, l.total FROM customer c CROSS JOIN LATERAL (SELECT total FROM invoice i WHERE i.customer_id = c.id \
        ORDER BY made DESC LIMIT 1) l WHERE c.id < 3",
    "SELECT * FROM customer WHERE id = 3 FOR UPDATE",
    "SELECT * FROM customer WHERE id = 3 FOR SHARE SKIP LOCKED",
    "SELECT name FROM customer WHERE name ~ '^c[0-9]' AND name !~* 'x'",
    "SELECT name FROM customer WHERE (id, name) = (3, 'c3')",
    "SELECT to_char(made, 'YYYY-MM'), count(*) FROM invoice GROUP BY to_char(made, 'YYYY-MM')",
    "SELECT substring(name FROM 1 FOR 2), position('c' IN name), trim(both ' ' FROM name) FROM customer",
    "SELECT random(), clock_timestamp(), gen.n FROM generate_series(1, 2) AS gen(n)",
    "SELECT made AT TIME ZONE 'UTC' FROM invoice WHERE id = 5",
    "SELECT * FROM invoice ORDER BY total DESC NULLS LAST FETCH FIRST 5 ROWS ONLY",
    "SELECT count(*) FROM invoice TABLESAMPLE SYSTEM (10)",
    "SELECT \"name\" AS \"Odd Name\" FROM \"customer\" WHERE \"id\" = 8",
    "SELECT $tag$text$tag$ || name FROM customer",
    "SELECT name /* from the web */ FROM customer -- with a comment\n WHERE id = 12",
    "SELECT kind FROM event WHERE kind = 5",
    "SELECT count(*) FROM event",
    "INSERT INTO customer (id, name) VALUES (1001, 'new')",
    "INSERT INTO customer (id, name) VALUES (1002, 'a'), (1003, 'b')",
    "INSERT INTO customer (id, name) SELECT 2000 + id, name FROM customer WHERE id < 5",
    "INSERT INTO customer (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name || 'y'",
    "INSERT INTO customer (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING id",
    "INSERT INTO event VALUES ('2020-07-01', 3, '{}')",
    "INSERT INTO invoice (id, customer_id) VALUES (7001, 1) RETURNING made",
    "UPDATE customer SET name = 'z', active = NOT active WHERE id = 7",
    "UPDATE customer SET doc = jsonb_set(doc, '{a}', '1') WHERE id = 8",
    "UPDATE invoice i SET state = 'paid' FROM customer c WHERE c.id = i.customer_id AND c.name = 'c9'",
    "UPDATE invoice SET total = total * 1.1 WHERE id IN (SELECT id FROM invoice ORDER BY id LIMIT 2)",
    "UPDATE customer SET (name, born) = ('q', '2001-01-01') WHERE id = 10",
    "DELETE FROM invoice WHERE id = 4998",
    "DELETE FROM invoice i USING customer c WHERE c.id = i.customer_id AND c.name = 'nobody'",
    "DELETE FROM customer WHERE id > 1000 AND NOT EXISTS (SELECT FROM invoice WHERE customer_id = customer.id)",
];

/// Statements with parameters, which arrive as they are planned.
pub const BOUND: &[&str] = &[
    "SELECT name FROM customer WHERE id = $1",
    "SELECT total FROM invoice WHERE customer_id = $1 ORDER BY made",
    "SELECT c.name FROM customer c JOIN invoice i ON i.customer_id = c.id AND c.id = $1",
    "UPDATE customer SET active = NOT active WHERE id = $1",
    "DELETE FROM customer WHERE id = $1 AND active IS NULL",
    "INSERT INTO customer (id) VALUES ($1) ON CONFLICT DO NOTHING",
    "SELECT count(*) FROM customer WHERE id = ANY (ARRAY[$1::int])",
    "SELECT * FROM shop.per_customer WHERE customer_id = $1",
];

/// Statements that must have no plan, each with its reason.
pub const WITHOUT: &[(&str, &str)] = &[
    ("SELECT id FROM hidden WHERE id = 1", "insufficient_privilege"),
    ("SELECT id FROM guarded WHERE id = 1", "row_security"),
    ("SELECT leaves_a_mark(1)", "function"),
    ("SELECT raises(3)", "function"),
    ("SELECT n FROM behind", "function"),
    ("SELECT at FROM wide WHERE at = 3", "too_many_locks"),
    ("SELECT v FROM short_lived WHERE v = 1", "object_missing"),
];

/// Makes the world.
pub async fn build(cluster: &Cluster) {
    cluster.execute("postgres", WORLD).await;
    let partitions: String =
        (0..100).map(|n| format!("CREATE TABLE wide_{n} PARTITION OF wide FOR VALUES IN ({n});")).collect();
    cluster.execute("postgres", &partitions).await;
}

/// Sends statements to be planned.
pub async fn run(cluster: &Cluster) {
    let mut client: PgConnection = cluster.connect_as("web", "postgres").await;
    for statement in LITERALS {
        send(&mut client, statement).await;
    }
    for statement in BOUND {
        let query = sqlx::query(AssertSqlSafe((*statement).to_owned())).bind(3_i32);
        client.execute(query).await.unwrap_or_else(|error| panic!("{error} in: {statement}"));
    }
    if i32::from(cluster.major().number()) >= 15 {
        let merge = "MERGE INTO customer c USING invoice i ON i.customer_id = c.id AND i.id = 5 \
            WHEN MATCHED THEN UPDATE SET name = 'merged'";
        send(&mut client, merge).await;
    }
}

/// Sends statements that will have no plan.
pub async fn run_without(cluster: &Cluster) {
    let mut client = cluster.connect_as("web", "postgres").await;
    send(&mut client, "CREATE TEMP TABLE short_lived (v int)").await;
    for (statement, _) in WITHOUT {
        send(&mut client, statement).await;
    }
}
