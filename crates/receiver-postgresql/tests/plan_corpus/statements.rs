//! Statements that between them provoke every node type.

use dbintel_testkit::postgres::Major;

/// A statement and what has to be set for its plan to have the wanted nodes.
pub struct Statement {
    pub since: Major,
    pub settings: &'static [&'static str],
    pub sql: &'static str,
}

const fn plain(sql: &'static str) -> Statement {
    Statement { since: Major::OLDEST, settings: &[], sql }
}

const fn with(settings: &'static [&'static str], sql: &'static str) -> Statement {
    Statement { since: Major::OLDEST, settings, sql }
}

const fn since(since: Major, sql: &'static str) -> Statement {
    Statement { since, settings: &[], sql }
}

const PARALLEL: &[&str] = &[
    "max_parallel_workers_per_gather = 2",
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_index_scan_size = 0",
];
const JIT: &[&str] =
    &["jit = on", "jit_above_cost = 0", "jit_inline_above_cost = 0", "jit_optimize_above_cost = 0"];
const LITTLE_MEMORY: &[&str] = &["work_mem = '64kB'", "hash_mem_multiplier = 1"];

/// About eighty statements.
pub const STATEMENTS: &[Statement] = &[
    // Scans.
    plain("SELECT * FROM orders"),
    plain("SELECT * FROM orders WHERE note = 'it''s a secret 471147114711' AND total > 98765.4321"),
    plain("SELECT * FROM orders WHERE id = 42"),
    plain("SELECT * FROM orders o WHERE o.id = -42 OR o.customer_id = 7"),
    plain("SELECT id FROM orders WHERE id BETWEEN 10 AND 20"),
    plain("SELECT * FROM orders ORDER BY id DESC LIMIT 5"),
    plain("SELECT * FROM orders WHERE customer_id = 17"),
    with(
        &["enable_indexscan = off"],
        "SELECT * FROM orders WHERE customer_id IN (17, 18) AND created_at > '2026-01-02'",
    ),
    with(
        &["enable_indexscan = off", "enable_seqscan = off"],
        "SELECT * FROM orders WHERE customer_id < 100 AND created_at < '2026-01-05 10:00Z'",
    ),
    plain("SELECT * FROM orders WHERE ctid = '(3,4)'"),
    since(Major::V14, "SELECT * FROM orders WHERE ctid > '(3,4)' AND ctid < '(5,1)'"),
    plain("SELECT * FROM orders TABLESAMPLE bernoulli (10) REPEATABLE (7)"),
    plain("SELECT * FROM products WHERE tags @> ARRAY['tag3'] AND doc ? 'colour'"),
    plain("SELECT * FROM products WHERE doc @> '{\"colour\": 3}'"),
    plain("SELECT * FROM products ORDER BY place <-> point(3, 4) LIMIT 3"),
    plain("SELECT * FROM customers WHERE \"Home Town\" = 'town 7' AND lower(name) LIKE 'customer%'"),
    plain("SELECT * FROM empty_table WHERE false"),
    plain("SELECT * FROM generate_series(1, 10) g"),
    plain("SELECT * FROM pairs(5) p WHERE p.a > 2"),
    plain("SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(1, 4)) AS r (a, b)"),
    plain("SELECT * FROM (VALUES (1, 'one'), (2, 'two')) v (n, word) WHERE v.n > 1"),
    plain("SELECT * FROM XMLTABLE('/a/b' PASSING '<a><b>x</b></a>' COLUMNS c text PATH '.') x"),
    since(Major::V17, "SELECT * FROM JSON_TABLE('[1,2]'::jsonb, '$[*]' COLUMNS (n int PATH '$')) j"),
    plain("SELECT 1 + 1"),
    plain("SELECT unnest(tags) FROM products LIMIT 10"),
    plain("SELECT count(*) FROM open_orders"),
    // Joins.
    plain("SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 'eu'"),
    with(
        &["enable_hashjoin = off", "enable_nestloop = off"],
        "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id",
    ),
    with(
        &[
            "enable_hashjoin = off",
            "enable_mergejoin = off",
            "enable_indexscan = off",
            "enable_bitmapscan = off",
        ],
        "SELECT * FROM products p JOIN tree t ON t.id = p.id",
    ),
    plain(
        "SELECT * FROM customers c LEFT JOIN settings_of s ON s.customer_id = c.id AND s.payload <> 'none'",
    ),
    plain("SELECT * FROM customers c FULL JOIN settings_of s ON s.customer_id = c.id"),
    plain(
        "SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.status = 'open')",
    ),
    plain("SELECT * FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)"),
    plain("SELECT * FROM customers c, products p WHERE c.id < 5"),
    plain(
        "SELECT * FROM tree a JOIN tree b ON b.parent = a.id JOIN tree c ON c.parent = b.id WHERE a.id = 3",
    ),
    plain(
        "SELECT * FROM orders o JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id JOIN customers c ON c.id = o.customer_id WHERE o.status = 'open'",
    ),
    plain(
        "SELECT * FROM orders o CROSS JOIN LATERAL (SELECT * FROM order_lines l WHERE l.order_id = o.id ORDER BY price LIMIT 1) x WHERE o.id < 100",
    ),
    with(
        &["enable_hashjoin = off", "enable_mergejoin = off"],
        "SELECT * FROM order_lines l JOIN products p ON p.id = l.product_id",
    ),
    // Sorts, groups, windows.
    plain("SELECT * FROM orders ORDER BY total, note"),
    with(LITTLE_MEMORY, "SELECT * FROM orders ORDER BY total, note"),
    plain("SELECT * FROM orders ORDER BY total LIMIT 3"),
    plain("SELECT * FROM orders ORDER BY created_at, total LIMIT 50"),
    with(&["enable_sort = on", "enable_seqscan = off"], "SELECT * FROM orders ORDER BY created_at, total"),
    plain("SELECT status, count(*), sum(total) FROM orders GROUP BY status HAVING count(*) > 5"),
    with(&["enable_hashagg = off"], "SELECT customer_id, max(total) FROM orders GROUP BY customer_id"),
    with(&["enable_hashagg = off"], "SELECT customer_id FROM orders GROUP BY customer_id"),
    with(LITTLE_MEMORY, "SELECT note || id, count(*) FROM orders GROUP BY 1"),
    plain(
        "SELECT status, customer_id % 10, count(*) FROM orders GROUP BY GROUPING SETS ((status, customer_id % 10), (status), ())",
    ),
    plain("SELECT region, \"Home Town\", count(*) FROM customers GROUP BY CUBE (region, \"Home Town\")"),
    plain("SELECT DISTINCT status FROM orders"),
    with(&["enable_hashagg = off"], "SELECT DISTINCT region FROM customers"),
    plain("SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY total DESC) FROM orders WHERE id < 500"),
    plain("SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM orders) x WHERE n <= 7"),
    plain(
        "SELECT id, sum(total) OVER w, avg(total) OVER (w ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (PARTITION BY status ORDER BY id)",
    ),
    plain("SELECT id FROM customers INTERSECT SELECT customer_id FROM orders"),
    plain("SELECT id FROM customers EXCEPT ALL SELECT customer_id FROM orders WHERE total > 3"),
    plain("SELECT id FROM customers UNION SELECT id FROM products"),
    plain("SELECT id, name FROM customers WHERE id = 3 UNION ALL SELECT id, name FROM products WHERE id = 4"),
    plain("SELECT min(created_at), max(created_at) FROM orders"),
    plain(
        "SELECT count(*) FILTER (WHERE status = 'open'), percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    ),
    // Subqueries.
    plain(
        "SELECT *, (SELECT count(*) FROM order_lines l WHERE l.order_id = o.id) FROM orders o WHERE o.id < 50",
    ),
    plain("SELECT * FROM orders WHERE total > (SELECT avg(total) FROM orders)"),
    plain("SELECT * FROM customers WHERE id NOT IN (SELECT customer_id FROM orders WHERE total > 900)"),
    plain(
        "SELECT * FROM customers c WHERE c.region = 'eu' OR EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total = 5)",
    ),
    plain("SELECT ARRAY(SELECT name FROM customers WHERE id < 4)"),
    plain(
        "WITH big AS MATERIALIZED (SELECT * FROM orders WHERE total > 500) SELECT * FROM big a JOIN big b ON a.id = b.id WHERE a.customer_id = 8",
    ),
    plain(
        "WITH RECURSIVE down AS (SELECT id, parent FROM tree WHERE id = 1 UNION ALL SELECT t.id, t.parent FROM tree t JOIN down d ON t.parent = d.id) SELECT count(*) FROM down",
    ),
    plain(
        "WITH gone AS (DELETE FROM settings_of WHERE customer_id < 5 RETURNING *) SELECT count(*) FROM gone",
    ),
    plain(
        "SELECT * FROM (SELECT customer_id, count(*) n FROM orders GROUP BY customer_id OFFSET 0) x WHERE x.n > 9",
    ),
    // Partitions.
    plain("SELECT * FROM events WHERE customer_id = 5"),
    plain("SELECT * FROM events e WHERE e.at = '2026-02-03'"),
    plain("SELECT * FROM events WHERE at >= '2026-02-20' AND at < '2026-03-05' ORDER BY at"),
    plain("SELECT * FROM events ORDER BY customer_id LIMIT 5"),
    plain("SELECT * FROM events WHERE at = (SELECT max(since) + 2000 FROM customers)"),
    plain("SELECT region, sum(balance) FROM accounts GROUP BY region"),
    with(
        &["enable_partitionwise_aggregate = on"],
        "SELECT region, sum(balance) FROM accounts GROUP BY region",
    ),
    with(&["enable_partitionwise_join = on"], "SELECT * FROM metrics m JOIN readings r ON r.id = m.id"),
    plain("SELECT * FROM metrics m WHERE m.id = 77"),
    // Parallel and just-in-time compiled.
    with(PARALLEL, "SELECT count(*) FROM orders WHERE note LIKE '%y%'"),
    with(PARALLEL, "SELECT * FROM orders ORDER BY total, note"),
    with(PARALLEL, "SELECT * FROM orders o JOIN order_lines l ON l.order_id = o.id"),
    with(PARALLEL, "SELECT status, count(*) FROM orders GROUP BY status"),
    with(PARALLEL, "SELECT kind, count(*) FROM events GROUP BY kind"),
    with(&["force_parallel_mode = regress"], "SELECT max(total) FROM orders WHERE id < 100"),
    with(JIT, "SELECT count(*), sum(total) FROM orders WHERE total > 3"),
    // Changes of rows.
    plain("INSERT INTO empty_table SELECT id, note FROM orders WHERE id < 20"),
    plain(
        "INSERT INTO settings_of VALUES (1, 'a'), (5001, 'b') ON CONFLICT (customer_id) DO UPDATE SET payload = excluded.payload WHERE settings_of.payload <> 'secret'",
    ),
    plain("INSERT INTO settings_of VALUES (1, 'a') ON CONFLICT DO NOTHING RETURNING customer_id"),
    plain("UPDATE orders SET note = 'zqSECRETqz' WHERE id = 3"),
    plain("UPDATE events SET kind = 'other' WHERE customer_id = 3"),
    plain("UPDATE empty_table SET note = 'x'"),
    plain("DELETE FROM orders WHERE id = 19999"),
    plain("DELETE FROM order_lines USING orders o WHERE o.id = order_lines.order_id AND o.status = 'open'"),
    plain("SELECT * FROM orders WHERE id = 9 FOR UPDATE"),
    since(
        Major::V15,
        "MERGE INTO settings_of s USING customers c ON c.id = s.customer_id WHEN MATCHED AND c.region = 'eu' THEN UPDATE SET payload = 'm' WHEN NOT MATCHED THEN INSERT VALUES (c.id, 'n')",
    ),
    since(
        Major::V15,
        "MERGE INTO settings_of s USING customers c ON c.id = s.customer_id WHEN MATCHED AND c.id < 9 THEN DELETE WHEN NOT MATCHED THEN DO NOTHING",
    ),
    // Foreign tables.
    plain("SELECT * FROM far.customers WHERE name = 'zqSECRETqz'"),
    plain("SELECT * FROM far.orders o JOIN far.customers c ON c.id = o.customer_id WHERE o.total > 900"),
    plain("SELECT region, count(*) FROM far.customers GROUP BY region"),
    plain("INSERT INTO far.empty_table VALUES (1, 'zqSECRETqz')"),
    plain("UPDATE far.empty_table SET note = 'zqSECRETqz' WHERE id = 4"),
    plain("SELECT * FROM lines_of_file WHERE line <> 'zqSECRETqz'"),
    plain("SELECT * FROM lines_of_program"),
];
