//! The test vectors of plan fingerprints, planned anew by real servers: each pair is still what it is said to be. With
//! `DBINTEL_UPDATE` in the environment the files are written, as is needed when a scenario is added. As written, they are
//! checked by `crates/plan/tests/fingerprints.rs`, without any server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by tests that are crates of their own")]
mod plan_corpus;

use std::fmt::Write as _;
use std::path::Path;

use dbintel_plan::{Budget, parse_postgresql};
use dbintel_testkit::postgres::Major;
use plan_corpus::{Planner, shop};

/// Scenarios run on these; the statements that are compared across versions run on all.
const MAJORS: [Major; 3] = [Major::V13, Major::V16, Major::V18];

/// What two plans of a pair are to each other.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    /// Both fingerprints are equal.
    Equal,
    /// The exact fingerprints differ, the shapes are equal.
    SameShape,
    /// Both differ.
    Differs,
}

/// One side of a pair: settings, options of `EXPLAIN`, statement.
struct Side(&'static [&'static str], &'static str, &'static str);

/// A pair of plans that differ in how they were asked for.
struct Pair(&'static str, Expect, Side, Side);

use Expect::{Differs, Equal, SameShape};

const NONE: &[&str] = &[];
const JOIN: &str = "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 'eu'";
const TWO_WORKERS: &[&str] =
    &["max_parallel_workers_per_gather = 2", "parallel_setup_cost = 0", "parallel_tuple_cost = 0"];
const ONE_WORKER: &[&str] =
    &["max_parallel_workers_per_gather = 1", "parallel_setup_cost = 0", "parallel_tuple_cost = 0"];
const JIT: &[&str] = &["jit = on", "jit_above_cost = 0"];

const PAIRS: &[Pair] = &[
    Pair(
        "another value",
        Equal,
        Side(NONE, "", "SELECT * FROM orders WHERE customer_id = 17"),
        Side(NONE, "", "SELECT * FROM orders WHERE customer_id = 1234"),
    ),
    Pair(
        "a longer list of values",
        Equal,
        Side(NONE, "", "SELECT * FROM orders WHERE id IN (17, 18)"),
        Side(NONE, "", "SELECT * FROM orders WHERE id IN (1, 2, 3, 4, 5)"),
    ),
    Pair(
        "another text",
        Equal,
        Side(NONE, "", "SELECT * FROM customers WHERE name = 'customer 7'"),
        Side(NONE, "", "SELECT * FROM customers WHERE name = 'it''s bob'"),
    ),
    Pair("run and measured", Equal, Side(NONE, "", JOIN), Side(NONE, ", ANALYZE, BUFFERS, TIMING off", JOIN)),
    Pair("verbose", Equal, Side(NONE, "", JOIN), Side(NONE, ", VERBOSE", JOIN)),
    Pair(
        "other aliases",
        Equal,
        Side(NONE, "", JOIN),
        Side(
            NONE,
            "",
            "SELECT * FROM orders orders JOIN customers buyers ON buyers.id = orders.customer_id WHERE buyers.region = 'us'",
        ),
    ),
    Pair(
        "other aliases of a self join",
        Equal,
        Side(
            NONE,
            "",
            "SELECT * FROM tree a JOIN tree b ON b.parent = a.id JOIN tree c ON c.parent = b.id WHERE a.id = 3",
        ),
        Side(
            NONE,
            "",
            "SELECT * FROM tree x JOIN tree y ON y.parent = x.id JOIN tree z ON z.parent = y.id WHERE x.id = 9",
        ),
    ),
    Pair(
        "more workers",
        Equal,
        Side(ONE_WORKER, "", "SELECT status, count(*) FROM orders GROUP BY status"),
        Side(TWO_WORKERS, "", "SELECT status, count(*) FROM orders GROUP BY status"),
    ),
    Pair(
        "compiled just in time",
        Equal,
        Side(NONE, "", "SELECT sum(total) FROM orders"),
        Side(JIT, ", ANALYZE", "SELECT sum(total) FROM orders"),
    ),
    Pair(
        "a setting that has no effect here",
        Equal,
        Side(NONE, ", SETTINGS", JOIN),
        Side(&["enable_tidscan = off", "cursor_tuple_fraction = 0.5"], ", SETTINGS", JOIN),
    ),
    Pair(
        "another name of a common table expression",
        Equal,
        Side(
            NONE,
            "",
            "WITH a AS MATERIALIZED (SELECT * FROM orders WHERE total > 500) SELECT count(*) FROM a x JOIN a y USING (id)",
        ),
        Side(
            NONE,
            "",
            "WITH b AS MATERIALIZED (SELECT * FROM orders WHERE total > 600) SELECT count(*) FROM b JOIN b c USING (id)",
        ),
    ),
    Pair(
        "another partition of a table split by time",
        Equal,
        Side(NONE, "", "SELECT * FROM events WHERE at = '2026-01-03'"),
        Side(NONE, "", "SELECT * FROM events WHERE at = '2026-02-03'"),
    ),
    Pair(
        "two partitions instead of one",
        Equal,
        Side(
            &["enable_bitmapscan = off"],
            "",
            "SELECT * FROM events e WHERE e.at >= '2026-01-05' AND e.at < '2026-01-07' AND e.customer_id = 5",
        ),
        Side(
            &["enable_bitmapscan = off"],
            "",
            "SELECT * FROM events e WHERE e.at >= '2026-01-30' AND e.at < '2026-02-03' AND e.customer_id = 5",
        ),
    ),
    Pair(
        "a generic plan instead of a custom one",
        Equal,
        Side(&["plan_cache_mode = force_custom_plan"], "", "EXECUTE by_name ('customer 7', 3)"),
        Side(&["plan_cache_mode = force_generic_plan"], "", "EXECUTE by_name ('customer 7', 3)"),
    ),
    Pair(
        "a generic plan of a list instead of a custom one",
        Equal,
        Side(&["plan_cache_mode = force_custom_plan"], "", "EXECUTE by_list ('{1,2,3,4,5,6,7,8,9,10}')"),
        Side(&["plan_cache_mode = force_generic_plan"], "", "EXECUTE by_list ('{1,2,3,4,5,6,7,8,9,10}')"),
    ),
    Pair(
        "a scalar subquery with another value",
        Equal,
        Side(NONE, "", "SELECT * FROM orders WHERE id > (SELECT max(id) - 5 FROM orders)"),
        Side(NONE, ", VERBOSE", "SELECT * FROM orders WHERE id > (SELECT max(id) - 9 FROM orders)"),
    ),
    Pair(
        "no index on the column that may be used",
        Differs,
        Side(NONE, "", "SELECT * FROM orders WHERE customer_id = 17"),
        Side(
            &["enable_indexscan = off", "enable_bitmapscan = off"],
            "",
            "SELECT * FROM orders WHERE customer_id = 17",
        ),
    ),
    Pair(
        "a bitmap instead of an index scan",
        Differs,
        Side(&["enable_indexscan = off"], "", "SELECT * FROM orders WHERE customer_id = 17"),
        Side(&["enable_bitmapscan = off"], "", "SELECT * FROM orders WHERE customer_id = 17"),
    ),
    Pair(
        "a nested loop instead of a hash join",
        Differs,
        Side(NONE, "", JOIN),
        Side(&["enable_hashjoin = off", "enable_mergejoin = off"], "", JOIN),
    ),
    Pair(
        "a merge join instead of a hash join",
        Differs,
        Side(NONE, "", JOIN),
        Side(&["enable_hashjoin = off", "enable_nestloop = off"], "", JOIN),
    ),
    Pair(
        "the other join order",
        Differs,
        Side(
            &["join_collapse_limit = 1"],
            "",
            "SELECT * FROM (orders o JOIN customers c ON c.id = o.customer_id) JOIN order_lines l ON l.order_id = o.id",
        ),
        Side(
            &["join_collapse_limit = 1"],
            "",
            "SELECT * FROM (order_lines l JOIN orders o ON l.order_id = o.id) JOIN customers c ON c.id = o.customer_id",
        ),
    ),
    Pair(
        "a left join instead of an inner one",
        Differs,
        Side(NONE, "", "SELECT * FROM customers c JOIN settings_of s ON s.customer_id = c.id"),
        Side(NONE, "", "SELECT * FROM customers c LEFT JOIN settings_of s ON s.customer_id = c.id"),
    ),
    Pair(
        "an anti join instead of a semi join",
        Differs,
        Side(
            NONE,
            "",
            "SELECT * FROM settings_of s WHERE EXISTS (SELECT 1 FROM tree t WHERE t.parent = s.customer_id)",
        ),
        Side(
            NONE,
            "",
            "SELECT * FROM settings_of s WHERE NOT EXISTS (SELECT 1 FROM tree t WHERE t.parent = s.customer_id)",
        ),
    ),
    Pair(
        "another table",
        Differs,
        Side(NONE, "", "SELECT * FROM tree WHERE id = 3"),
        Side(NONE, "", "SELECT * FROM products WHERE id = 3"),
    ),
    Pair(
        "the index alone instead of the table",
        Differs,
        Side(NONE, "", "SELECT id FROM orders WHERE id = 3"),
        Side(NONE, "", "SELECT * FROM orders WHERE id = 3"),
    ),
    Pair(
        "parallel instead of serial",
        Differs,
        Side(NONE, "", "SELECT count(*) FROM orders"),
        Side(TWO_WORKERS, "", "SELECT count(*) FROM orders"),
    ),
    Pair(
        "a sort instead of an index order",
        Differs,
        Side(NONE, "", "SELECT * FROM orders ORDER BY id LIMIT 5"),
        Side(&["enable_indexscan = off"], "", "SELECT * FROM orders ORDER BY id LIMIT 5"),
    ),
    Pair(
        "sorted groups instead of hashed ones",
        Differs,
        Side(NONE, "", "SELECT total, count(*) FROM orders GROUP BY total"),
        Side(&["enable_hashagg = off"], "", "SELECT total, count(*) FROM orders GROUP BY total"),
    ),
    Pair(
        "no incremental sort",
        Differs,
        Side(NONE, "", "SELECT * FROM orders ORDER BY created_at, total LIMIT 50"),
        Side(
            &["enable_incremental_sort = off"],
            "",
            "SELECT * FROM orders ORDER BY created_at, total LIMIT 50",
        ),
    ),
    Pair(
        "no copy of the inner rows",
        Differs,
        Side(
            &[
                "enable_hashjoin = off",
                "enable_mergejoin = off",
                "enable_indexscan = off",
                "enable_bitmapscan = off",
            ],
            "",
            "SELECT * FROM products p JOIN tree t ON t.id = p.id",
        ),
        Side(
            &[
                "enable_hashjoin = off",
                "enable_mergejoin = off",
                "enable_indexscan = off",
                "enable_bitmapscan = off",
                "enable_material = off",
            ],
            "",
            "SELECT * FROM products p JOIN tree t ON t.id = p.id",
        ),
    ),
    Pair(
        "joined partition by partition",
        Differs,
        Side(NONE, "", "SELECT * FROM metrics m JOIN readings r ON r.id = m.id"),
        Side(
            &["enable_partitionwise_join = on"],
            "",
            "SELECT * FROM metrics m JOIN readings r ON r.id = m.id",
        ),
    ),
    Pair(
        "a common table expression that is computed apart",
        Differs,
        Side(NONE, "", "WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM a WHERE id = 5"),
        Side(NONE, "", "WITH a AS NOT MATERIALIZED (SELECT * FROM orders) SELECT * FROM a WHERE id = 5"),
    ),
    Pair(
        "an empty plan",
        Differs,
        Side(NONE, "", "SELECT * FROM orders WHERE id = 5"),
        Side(NONE, "", "SELECT * FROM orders WHERE id = 5 AND false"),
    ),
    Pair(
        "a limit",
        Differs,
        Side(NONE, "", "SELECT * FROM orders"),
        Side(NONE, "", "SELECT * FROM orders LIMIT 5"),
    ),
    Pair(
        "a hash join instead of a nested loop over partitions",
        Differs,
        Side(NONE, "", "SELECT * FROM events e JOIN customers c ON c.id = e.customer_id WHERE c.id = 5"),
        Side(
            &["enable_nestloop = off", "enable_bitmapscan = off", "enable_indexscan = off"],
            "",
            "SELECT * FROM events e JOIN customers c ON c.id = e.customer_id WHERE c.id = 5",
        ),
    ),
    Pair(
        "another sort key",
        SameShape,
        Side(NONE, "", "SELECT * FROM orders ORDER BY total"),
        Side(NONE, "", "SELECT * FROM orders ORDER BY note"),
    ),
    Pair(
        "the other direction of a sort",
        SameShape,
        Side(NONE, "", "SELECT * FROM orders ORDER BY total"),
        Side(NONE, "", "SELECT * FROM orders ORDER BY total DESC"),
    ),
    Pair(
        "the other direction of an index",
        SameShape,
        Side(NONE, "", "SELECT * FROM orders ORDER BY id LIMIT 5"),
        Side(NONE, "", "SELECT * FROM orders ORDER BY id DESC LIMIT 5"),
    ),
    Pair(
        "another index",
        SameShape,
        Side(NONE, "", "SELECT * FROM orders ORDER BY id LIMIT 5"),
        Side(NONE, "", "SELECT * FROM orders ORDER BY created_at LIMIT 5"),
    ),
    Pair(
        "another group key",
        SameShape,
        Side(NONE, "", "SELECT count(*) FROM orders GROUP BY status"),
        Side(NONE, "", "SELECT count(*) FROM orders GROUP BY customer_id"),
    ),
    Pair(
        "another condition of the same index",
        SameShape,
        Side(NONE, "", "SELECT * FROM orders WHERE id = 5"),
        Side(NONE, "", "SELECT * FROM orders WHERE id > 19990"),
    ),
    Pair(
        "another join condition",
        SameShape,
        Side(
            &["enable_nestloop = off", "enable_mergejoin = off"],
            "",
            "SELECT * FROM tree t JOIN products p ON p.id = t.id",
        ),
        Side(
            &["enable_nestloop = off", "enable_mergejoin = off"],
            "",
            "SELECT * FROM tree t JOIN products p ON p.id = t.parent",
        ),
    ),
];

/// A change of the database between two plans of one statement.
struct Change {
    name: &'static str,
    expect: Expect,
    settings: &'static [&'static str],
    sql: &'static str,
    before: &'static str,
    change: &'static str,
}

const GROW: &str =
    "INSERT INTO grow SELECT n, n % 1000, n FROM generate_series(2001, 2000000) n; VACUUM ANALYZE grow";
const PARTITION: &str = "CREATE TABLE events_2026_04 PARTITION OF events FOR VALUES FROM ('2026-04-01') TO ('2026-05-01'); \
    INSERT INTO events SELECT n, date '2026-04-01' + n % 30, 'kind', n % 2000 FROM generate_series(1, 3000) n; ANALYZE events";

const fn change(
    name: &'static str,
    expect: Expect,
    sql: &'static str,
    before: &'static str,
    change: &'static str,
) -> Change {
    Change { name, expect, settings: &[], sql, before, change }
}

const CHANGES: &[Change] = &[
    change(
        "a thousand times as many rows, one looked up",
        Equal,
        "SELECT * FROM grow WHERE id = 5",
        "",
        GROW,
    ),
    change(
        "a thousand times as many rows, first by order",
        Equal,
        "SELECT * FROM grow g ORDER BY g.id LIMIT 5",
        "",
        GROW,
    ),
    change("a thousand times as many rows, all counted", Equal, "SELECT count(*) FROM grow", "", GROW),
    change(
        "a thousand times as many rows, joined to one",
        Equal,
        "SELECT * FROM tree t JOIN grow g ON g.id = t.id WHERE t.id = 5",
        "",
        GROW,
    ),
    change(
        "one more partition, one column looked up",
        Equal,
        "SELECT * FROM events WHERE customer_id = 5",
        "",
        PARTITION,
    ),
    change(
        "one more partition, first by order",
        Equal,
        "SELECT * FROM events e ORDER BY e.at LIMIT 5",
        "",
        PARTITION,
    ),
    change(
        "one more partition, all counted",
        Equal,
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "",
        PARTITION,
    ),
    change(
        "one more partition, joined",
        Equal,
        "SELECT * FROM customers c JOIN events e ON e.customer_id = c.id WHERE c.id = 7",
        "",
        PARTITION,
    ),
    change(
        "one more partition with an own name",
        Equal,
        "SELECT * FROM accounts a WHERE a.balance = 5",
        "",
        "CREATE TABLE accounts_africa PARTITION OF accounts FOR VALUES IN ('africa')",
    ),
    change(
        "an index that went",
        Differs,
        "SELECT * FROM orders WHERE customer_id = 5",
        "",
        "DROP INDEX orders_customer_idx",
    ),
    change(
        "an index that went, joined",
        Differs,
        "SELECT * FROM products p JOIN order_lines l ON l.product_id = p.id WHERE p.id = 5",
        "",
        "DROP INDEX order_lines_product_idx",
    ),
    change(
        "an index that came",
        Differs,
        "SELECT * FROM orders WHERE total = 5",
        "",
        "CREATE INDEX orders_total_idx ON orders (total)",
    ),
    change(
        "a renamed index",
        SameShape,
        "SELECT * FROM tree WHERE parent = 5",
        "",
        "ALTER INDEX tree_parent_idx RENAME TO tree_up_idx",
    ),
    change(
        "a better index",
        SameShape,
        "SELECT * FROM orders WHERE created_at = '2026-01-05' AND status = 'open'",
        "",
        "CREATE INDEX orders_created_status_idx ON orders (created_at, status)",
    ),
    change(
        "a table that was renamed",
        Differs,
        "SELECT * FROM view_of_tree WHERE id = 3",
        "CREATE VIEW view_of_tree AS SELECT * FROM tree",
        "ALTER TABLE tree RENAME TO wood",
    ),
];

/// Statements whose plans are the same in all versions.
const ACROSS: &[&str] = &[
    "SELECT * FROM orders WHERE note = 'x' AND total > 12",
    "SELECT * FROM orders o WHERE o.id = 42 OR o.customer_id = 7",
    "SELECT id FROM orders WHERE id BETWEEN 10 AND 20",
    "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 'eu'",
    "SELECT * FROM customers c FULL JOIN settings_of s ON s.customer_id = c.id",
    "SELECT * FROM orders ORDER BY created_at, total LIMIT 50",
    "SELECT status, count(*), sum(total) FROM orders GROUP BY status HAVING count(*) > 5",
    "SELECT status, customer_id % 10, count(*) FROM orders GROUP BY GROUPING SETS ((status, customer_id % 10), (status), ())",
    "SELECT *, (SELECT count(*) FROM order_lines l WHERE l.order_id = o.id) FROM orders o WHERE o.id < 50",
    "SELECT * FROM orders WHERE id > (SELECT count(*) FROM customers)",
    "SELECT min(total), max(total) FROM orders",
    "SELECT * FROM customers WHERE id NOT IN (SELECT customer_id FROM orders WHERE total > 900)",
    "WITH RECURSIVE down AS (SELECT id, parent FROM tree WHERE id = 1 UNION ALL SELECT t.id, t.parent FROM tree t JOIN down d ON t.parent = d.id) SELECT count(*) FROM down",
    "SELECT * FROM events e WHERE e.customer_id = 5",
    "SELECT * FROM events ORDER BY at LIMIT 5",
    "SELECT * FROM events WHERE at = '2026-02-03'",
    "SELECT * FROM metrics m WHERE m.id = 77",
    "INSERT INTO settings_of VALUES (1, 'a') ON CONFLICT DO NOTHING RETURNING customer_id",
    "UPDATE orders SET note = 'x' WHERE id = 3",
    "SELECT * FROM far.customers WHERE name = 'x'",
];

/// The lines of one file of vectors.
#[derive(Default)]
struct Vectors {
    lines: String,
    wrong: Vec<String>,
}

impl Vectors {
    fn add(&mut self, name: &str, versions: [u16; 2], expect: Expect, left: &str, right: &str) {
        let fingerprints =
            |json: &str| parse_postgresql(json.as_bytes(), &mut Budget::unlimited()).plan.fingerprints();
        let (l, r) = (fingerprints(left), fingerprints(right));
        let met = match expect {
            Equal => l == r,
            SameShape => l.shape == r.shape && l.exact != r.exact,
            Differs => l.shape != r.shape && l.exact != r.exact,
        };
        if !met {
            self.wrong.push(format!("{name} {versions:?}\n{left}\n{right}"));
        }
        let expect = match expect {
            Equal => "equal",
            SameShape => "same shape",
            Differs => "differs",
        };
        writeln!(
            self.lines,
            r#"{{"name":"{name}","majors":{versions:?},"expect":"{expect}","shape":"{}","exact":"{}","left":{},"right":{}}}"#,
            l.shape, l.exact, compact(left), compact(right)
        )
        .unwrap();
    }
}

/// The same JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    json.chars()
        .filter(|char| {
            if inside {
                (inside, escaped) = (*char != '"' || escaped, *char == '\\' && !escaped);
                return true;
            }
            inside = *char == '"';
            !char.is_ascii_whitespace()
        })
        .collect()
}

async fn pairs(major: Major, vectors: &mut Vectors) {
    let cluster = shop(major).await;
    let mut planner = Planner::of(&cluster).await;
    planner.execute("PREPARE by_name (text, int) AS SELECT * FROM customers c JOIN settings_of s ON s.customer_id = c.id WHERE c.name = $1 AND s.customer_id > $2").await;
    planner.execute("PREPARE by_list (int[]) AS SELECT * FROM orders WHERE id = ANY ($1)").await;
    for Pair(name, expect, left, right) in PAIRS {
        let left = planner.explain(left.0, left.1, left.2).await;
        let right = planner.explain(right.0, right.1, right.2).await;
        vectors.add(name, [major.number(); 2], *expect, &left, &right);
    }
    planner.execute("CREATE TABLE grow (id int PRIMARY KEY, k int, v int); INSERT INTO grow SELECT n, n % 1000, n FROM generate_series(1, 2000) n").await;
    planner.execute("VACUUM ANALYZE grow").await;
    let mut done: Vec<&str> = Vec::new();
    let mut lefts = Vec::new();
    for change in CHANGES {
        if !change.before.is_empty() {
            planner.execute(change.before).await;
        }
        lefts.push(planner.explain(change.settings, "", change.sql).await);
    }
    for (change, left) in CHANGES.iter().zip(lefts) {
        if !done.contains(&change.change) {
            for statement in change.change.split("; ") {
                planner.execute(statement).await;
            }
            done.push(change.change);
        }
        let right = planner.explain(change.settings, "", change.sql).await;
        vectors.add(change.name, [major.number(); 2], change.expect, &left, &right);
    }
}

async fn across(vectors: &mut Vectors) {
    const SIDES: [Major; 6] = [Major::V13, Major::V18, Major::V14, Major::V17, Major::V15, Major::V16];
    let mut plans = Vec::new();
    for major in SIDES {
        let cluster = shop(major).await;
        let mut planner = Planner::of(&cluster).await;
        let mut of_major = Vec::new();
        for sql in ACROSS {
            of_major.push(planner.explain(NONE, "", sql).await);
        }
        plans.push((major.number(), of_major));
    }
    for (left, right) in [(0, 1), (2, 3), (4, 5)] {
        for (at, sql) in ACROSS.iter().enumerate() {
            let name = format!("another version: {}", sql.replace('"', "'"));
            vectors.add(
                &name,
                [plans[left].0, plans[right].0],
                Equal,
                &plans[left].1[at],
                &plans[right].1[at],
            );
        }
    }
}

/// A statement whose plan has about 10 KiB as the server writes it, white space included.
const TEN_KIB: &str = "SELECT p.name, count(*) FROM orders o JOIN order_lines l ON l.order_id = o.id \
    JOIN products p ON p.id = l.product_id WHERE o.status = 'open' AND p.name <> 'product 17' GROUP BY p.name";

/// Whether the files of the repository are to be written.
fn updates() -> bool {
    std::env::var_os("DBINTEL_UPDATE").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_the_bench_has_the_size_it_is_named_for() {
    let cluster = shop(Major::V17).await;
    let plan =
        Planner::of(&cluster).await.explain(NONE, ", ANALYZE, VERBOSE, BUFFERS, SETTINGS", TEN_KIB).await;
    let plan = plan.trim().strip_prefix('[').and_then(|plan| plan.strip_suffix(']')).unwrap().trim_end();
    let logged = plan.replacen('{', &format!("{{\n    \"Query Text\": \"{TEN_KIB}\","), 1);
    assert!((9 << 10..12 << 10).contains(&logged.len()), "{} bytes", logged.len());
    if updates() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("plan-10k.json"), logged).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_pair_is_what_it_is_said_to_be() {
    let mut vectors = Vectors::default();
    for major in MAJORS {
        pairs(major, &mut vectors).await;
    }
    across(&mut vectors).await;
    if updates() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plan/tests/data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("plan-fingerprints.jsonl"), &vectors.lines).unwrap();
    }
    assert!(vectors.wrong.is_empty(), "{}: {}", vectors.wrong.len(), vectors.wrong.join("\n\n"));
}
