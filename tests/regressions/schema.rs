//! Tables and statements: one table for each thing that happens, so that whatever is told about it is about that.

use super::workload::{Client, Statement};

/// Statements without any change: by what they do, the load of the server is told from what a plan did. Each waits for three milliseconds, so
/// that other programs on the machine of the test are no load of the server.
const CONTROLS: usize = 24;
/// Connections they share, so few to each that they keep to their rate at five times the load.
const CONTROL_CONNECTIONS: usize = 8;

/// Roles that own a setting each, so that a change of it reaches one statement only. `app` uses generic plans, so that what
/// `EXPLAIN` shows without values is what runs; `nested` and `parallel` wait in their statements, since two shared cores can show neither what
/// parallelism gains nor sessions that are busy often enough to be sampled.
const ROLES: &str = "\
    CREATE ROLE app LOGIN; CREATE ROLE tuned LOGIN; CREATE ROLE nested LOGIN; CREATE ROLE parallel LOGIN; CREATE ROLE skewed LOGIN; \
    ALTER ROLE app SET plan_cache_mode = force_generic_plan; ALTER ROLE tuned SET plan_cache_mode = force_generic_plan; \
    ALTER ROLE tuned SET random_page_cost = 4; ALTER ROLE nested SET enable_mergejoin = off; \
    ALTER ROLE skewed SET plan_cache_mode = force_custom_plan; \
    ALTER ROLE parallel SET parallel_setup_cost = 0; ALTER ROLE parallel SET parallel_tuple_cost = 0; \
    ALTER ROLE parallel SET cpu_operator_cost = 10; \
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app, tuned, nested, parallel, skewed, dbintel;";

/// Ten rows of each kind in twenty thousand: found by the index in no time, and without it by reading all.
const KINDS: [&str; 3] = ["dropped", "rewritten", "tuned"];

/// A row to a page, each of which takes three milliseconds to look at: how long it takes depends on nothing else, so that no change can be told
/// from a small one. By how much such a wait is too long is a matter of the machine, and all the less of a longer one.
const USELESS: &str = "\
    CREATE TABLE useless (kind int, note text); ALTER TABLE useless ALTER note SET STORAGE PLAIN; \
    INSERT INTO useless SELECT n, repeat('x', 6000) FROM generate_series(1, 16) n; \
    CREATE INDEX useless_kind ON useless (kind);";

/// The rows of the kind that is asked for come last by `place`, so that an index on that is a trap. Few rows, since three servers that fall
/// into it share the machine.
const HARMFUL: &str = "\
    CREATE TABLE harmful (id int PRIMARY KEY, kind int, place int, note text); \
    INSERT INTO harmful SELECT n, CASE WHEN n % 1600 = 7 THEN 500 ELSE n % 200 END, \
      CASE WHEN n % 1600 = 7 THEN 8000 + n ELSE (n::bigint * 7919) % 8000 END, 'note ' || n FROM generate_series(1, 8000) n; \
    CREATE INDEX harmful_kind ON harmful (kind);";

/// Few rows of each kind, so that the index on it is best; once the planner believes in many, it goes through the primary key
/// and meets the kind that is asked for at the end.
const STALE: &str = "\
    CREATE TABLE stale (id int PRIMARY KEY, kind int, note text); \
    INSERT INTO stale SELECT n, CASE WHEN n > 19995 THEN 5000 ELSE (n::bigint * 7919) % 4000 END, 'note ' || n \
      FROM generate_series(1, 20000) n; \
    CREATE INDEX stale_kind ON stale (kind);";
/// Rows of few kinds, nine times as many as there were.
pub(crate) const BULK_LOAD: &str =
    "INSERT INTO stale SELECT n, 6000 + n % 3, 'note ' || n FROM generate_series(20001, 200000) n";

/// Eleven rows of each kind in twenty thousand, so few kinds that the planner counts them instead of expecting more with more rows: what is
/// loaded then, each row of a kind of its own, looks like many rows of each kind until the table is analysed.
const LOADED: &str = "\
    CREATE TABLE loaded (id int PRIMARY KEY, kind int, note text); \
    INSERT INTO loaded SELECT n, CASE WHEN n > 19995 THEN 5000 ELSE (n::bigint * 7919) % 1900 END, 'note ' || n \
      FROM generate_series(1, 20000) n; \
    CREATE INDEX loaded_kind ON loaded (kind);";
/// Nine times as many rows as there were, and no analysis.
pub(crate) const LOAD: &str =
    "INSERT INTO loaded SELECT n, 10000 + n, 'note ' || n FROM generate_series(20001, 200000) n";

/// The rows of a day lie beside each other.
const ORDERED: &str = "\
    CREATE TABLE ordered (id int PRIMARY KEY, day int, amount int, note text); \
    INSERT INTO ordered SELECT n, n / 200, n % 10, repeat('note', 40) FROM generate_series(0, 19999) n; \
    CREATE INDEX ordered_day ON ordered (day);";
/// The same rows, anywhere, and statistics that know it.
pub(crate) const SHUFFLE: [&str; 2] = [
    "CREATE TEMP TABLE copy AS SELECT * FROM ordered; DELETE FROM ordered; \
     INSERT INTO ordered SELECT * FROM copy ORDER BY random(); ANALYZE ordered; DROP TABLE copy",
    "VACUUM ordered",
];

/// Two inputs without indexes whose pairs fit into memory: how they are joined changes no block that is read.
const NESTED: &str = "\
    CREATE TABLE outer_side (id int, key int); INSERT INTO outer_side SELECT n, n FROM generate_series(1, 500) n; \
    CREATE TABLE inner_side (id int, key int); INSERT INTO inner_side SELECT n, n FROM generate_series(1, 500) n;";

/// A row to a page, so that workers share the rows, each of which takes ten milliseconds.
const PARALLEL: &str = "\
    CREATE TABLE pages (id int, note text) WITH (fillfactor = 10, parallel_workers = 2); \
    ALTER TABLE pages ALTER note SET STORAGE PLAIN; \
    INSERT INTO pages SELECT n, repeat('x', 6000) FROM generate_series(1, 12) n;";

/// The statement has a parameter that may be left out: a plan for a value uses the index, one for any value has to read all.
const SKEWED: &str = "\
    CREATE TABLE skewed (id int PRIMARY KEY, kind int, note text); \
    INSERT INTO skewed SELECT n, n % 2000, 'note ' || n FROM generate_series(1, 20000) n; \
    CREATE INDEX skewed_kind ON skewed (kind);";

/// What the neutral events happen to.
const NEUTRAL: &str = "\
    CREATE TABLE grown (id int PRIMARY KEY, part int, note text); \
    INSERT INTO grown SELECT n, n % 100, 'note ' || n FROM generate_series(1, 10000) n; \
    CREATE INDEX grown_part ON grown (part); \
    CREATE TABLE stormed (id int PRIMARY KEY, note text); \
    INSERT INTO stormed SELECT n, 'note ' || n FROM generate_series(1, 1000) n;";
/// Two in a hundred rows more, for parts that are there.
pub(crate) const GROW: &str = "INSERT INTO grown SELECT n, n % 100, 'note ' || n \
    FROM generate_series((SELECT max(id) + 1 FROM grown), (SELECT max(id) + 200 FROM grown)) n";

/// Everything there is before anything happens.
pub(crate) fn schema() -> Vec<String> {
    let mut all = vec![ROLES.to_owned()];
    let columns: Vec<String> =
        (0..CONTROLS).map(|number| format!("c{number} int DEFAULT {number}")).collect();
    all.push(format!(
        "CREATE TABLE control (id int PRIMARY KEY, {}); INSERT INTO control (id) SELECT generate_series(1, 1000)",
        columns.join(", ")
    ));
    for table in KINDS {
        all.push(format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, kind int, note text); \
             INSERT INTO {table} SELECT n, n % 2000, 'note ' || n FROM generate_series(1, 20000) n; \
             CREATE INDEX {table}_kind ON {table} (kind)"
        ));
    }
    all.extend(
        [USELESS, HARMFUL, STALE, LOADED, ORDERED, NESTED, PARALLEL, SKEWED, NEUTRAL].map(str::to_owned),
    );
    // In a transaction of its own: one that has loaded the rows as well counts them as changed since.
    all.push("ANALYZE".to_owned());
    all
}

/// Who sends what.
pub(crate) fn clients() -> Vec<Client> {
    let client = |role, statements: Vec<Statement>| Client { role, statements };
    let by_kind = |table: &str| Statement::of(format!("SELECT note FROM {table} WHERE kind = $1"), 7);
    let mut all: Vec<Client> = (0..CONTROL_CONNECTIONS)
        .map(|connection| {
            let own = (0..CONTROLS).filter(|number| number % CONTROL_CONNECTIONS == connection);
            let of = |number| {
                Statement::of(
                    format!("SELECT c{number} FROM control WHERE id = $1 AND pg_sleep(0.003) IS NOT NULL"),
                    7,
                )
            };
            client("app", own.map(of).collect())
        })
        .collect();
    let watched = vec![
        by_kind("dropped"),
        Statement::of("SELECT min(place) FROM harmful WHERE kind = $1", 500),
        Statement::of("SELECT min(id) FROM stale WHERE kind = $1", 5000),
        Statement::of("SELECT min(id) FROM loaded WHERE kind = $1", 5000),
        Statement::of("SELECT sum(amount) FROM ordered WHERE day = $1", 50),
        by_kind("rewritten"),
        Statement::of("SELECT note FROM grown WHERE id = $1", 7),
        Statement::of("SELECT count(*) FROM grown WHERE part = $1", 7),
    ];
    all.push(client("app", watched));
    all.push(client("app", vec![Statement::of("SELECT note FROM stormed WHERE id = $1", 7)]));
    let useless = "SELECT count(*) FROM useless WHERE pg_sleep(0.003) IS NOT NULL AND kind = $1";
    all.push(client("app", vec![Statement::of(useless, 7)]));
    all.push(client("tuned", vec![by_kind("tuned")]));
    all.push(client(
        "skewed",
        vec![Statement::of("SELECT count(*) FROM skewed WHERE $1 = 0 OR kind = $1", 2)],
    ));
    let nested = Statement::plain(
        "SELECT count(*) FROM outer_side o JOIN inner_side i ON i.key = o.key WHERE (SELECT pg_sleep(0.02)) IS NOT NULL",
    );
    let parallel = Statement::plain("SELECT count(*) FROM pages WHERE pg_sleep(0.01) IS NOT NULL");
    for (role, statement) in [("nested", nested), ("parallel", parallel)] {
        // Two connections, so that sessions are sampled often enough to say whether they wait.
        all.extend([(); 2].map(|()| client(role, vec![statement.clone()])));
    }
    all
}
