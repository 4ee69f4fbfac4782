//! A shop with every kind of table: plain, partitioned three ways, foreign, with triggers and with odd columns.

use dbintel_testkit::postgres::{Cluster, Major, Options};

const TABLES: &str = "
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region text, \"Home Town\" varchar(30), since date);
CREATE UNIQUE INDEX customers_name_key ON customers (name);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, status text, total numeric(12,2),
  created_at timestamptz NOT NULL, note text);
CREATE INDEX orders_customer_idx ON orders (customer_id);
CREATE INDEX orders_created_idx ON orders (created_at);
CREATE INDEX orders_status_idx ON orders (status);
CREATE TABLE order_lines (order_id int REFERENCES orders ON DELETE CASCADE, line_no int, product_id int, quantity int, price numeric,
  PRIMARY KEY (order_id, line_no));
CREATE INDEX order_lines_product_idx ON order_lines (product_id);
CREATE TABLE products (id int PRIMARY KEY, name text, tags text[], doc jsonb, place point);
CREATE INDEX products_tags_idx ON products USING gin (tags);
CREATE INDEX products_doc_idx ON products USING gin (doc);
CREATE INDEX products_place_idx ON products USING gist (place);
CREATE TABLE tree (id int PRIMARY KEY, parent int, label text);
CREATE INDEX tree_parent_idx ON tree (parent);
CREATE TABLE empty_table (id int, note text);
CREATE TABLE settings_of (customer_id int PRIMARY KEY, payload text);

CREATE TABLE events (id bigint, at date NOT NULL, kind text, customer_id int) PARTITION BY RANGE (at);
CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE events_2026_03 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE INDEX events_at_idx ON events (at);
CREATE INDEX events_customer_idx ON events (customer_id);
CREATE TABLE accounts (id int, region text NOT NULL, balance numeric) PARTITION BY LIST (region);
CREATE TABLE accounts_eu PARTITION OF accounts FOR VALUES IN ('eu');
CREATE TABLE accounts_us PARTITION OF accounts FOR VALUES IN ('us');
CREATE TABLE accounts_default PARTITION OF accounts DEFAULT;
CREATE TABLE metrics (id int NOT NULL, value float8) PARTITION BY HASH (id);
CREATE TABLE metrics_p0 PARTITION OF metrics FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE metrics_p1 PARTITION OF metrics FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE metrics_p2 PARTITION OF metrics FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE metrics_p3 PARTITION OF metrics FOR VALUES WITH (MODULUS 4, REMAINDER 3);
CREATE INDEX metrics_id_idx ON metrics (id);
CREATE TABLE readings (id int NOT NULL, value float8) PARTITION BY HASH (id);
CREATE TABLE readings_p0 PARTITION OF readings FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE readings_p1 PARTITION OF readings FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE readings_p2 PARTITION OF readings FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE readings_p3 PARTITION OF readings FOR VALUES WITH (MODULUS 4, REMAINDER 3);
";

const ROWS: &str = "
INSERT INTO customers SELECT n, 'customer ' || n, CASE n % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'asia' END,
  'town ' || n % 50, date '2020-01-01' + n % 1000 FROM generate_series(1, 2000) n;
INSERT INTO orders SELECT n, 1 + n % 2000, CASE WHEN n % 100 = 0 THEN 'open' ELSE 'done' END, n % 977,
  timestamptz '2026-01-01 00:00Z' + n * interval '5 minutes', repeat('x', 40) FROM generate_series(1, 20000) n;
INSERT INTO order_lines SELECT 1 + n / 3, n % 3, 1 + n % 500, n % 7, n % 91 FROM generate_series(0, 50000) n;
INSERT INTO products SELECT n, 'product ' || n, ARRAY['tag' || n % 20, 'tag' || n % 7],
  jsonb_build_object('colour', n % 5, 'size', n % 11), point(n % 100, n / 100) FROM generate_series(1, 500) n;
INSERT INTO tree SELECT n, nullif(n / 2, 0), 'node ' || n FROM generate_series(1, 1000) n;
INSERT INTO settings_of SELECT n, 'payload' FROM generate_series(1, 1000) n;
INSERT INTO events SELECT n, date '2026-01-01' + n % 90, 'kind ' || n % 5, 1 + n % 2000 FROM generate_series(1, 9000) n;
INSERT INTO accounts SELECT n, CASE n % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'asia' END, n FROM generate_series(1, 3000) n;
INSERT INTO metrics SELECT n, n FROM generate_series(1, 4000) n;
INSERT INTO readings SELECT n, n FROM generate_series(1, 4000) n;
";

const CODE: &str = "
CREATE FUNCTION pairs(n int) RETURNS TABLE (a int, b int) LANGUAGE sql STABLE AS 'SELECT g, g * 2 FROM generate_series(1, n) g';
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM count(*) FROM changed WHERE note = ''seen''; RETURN NULL; END';
CREATE TRIGGER audited AFTER UPDATE ON empty_table REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION audited();
CREATE VIEW open_orders AS SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'open';
";

const FOREIGN: &str = "
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '@HOST', port '@PORT', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (user '@USER');
CREATE SCHEMA far;
IMPORT FOREIGN SCHEMA public LIMIT TO (customers, orders, empty_table) FROM SERVER elsewhere INTO far;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE lines_of_file (line text) SERVER files OPTIONS (filename '@FILE', format 'text', delimiter E'\\x01');
CREATE FOREIGN TABLE lines_of_program (line text) SERVER files OPTIONS (program 'printf zqSECRETqz', format 'text');
";

/// A cluster with the shop in its database `postgres`, analysed, quiet and the same each time.
pub async fn shop(major: Major) -> Cluster {
    let options = Options::new()
        .auto_explain()
        .setting("autovacuum", "off")
        .setting("min_parallel_table_scan_size", "0")
        .setting("max_parallel_workers_per_gather", "0")
        .setting("jit", "off");
    let cluster = Cluster::start(major, options).await;
    for sql in [TABLES, ROWS, CODE] {
        cluster.execute("postgres", sql).await;
    }
    let file = cluster.data_dir().join("PG_VERSION");
    let user: String = cluster.scalar("postgres", "SELECT current_user::text").await;
    let foreign = FOREIGN
        .replace("@USER", &user)
        .replace("@HOST", "127.0.0.1")
        .replace("@PORT", &cluster.port().to_string())
        .replace("@FILE", &file.display().to_string());
    cluster.execute("postgres", &foreign).await;
    cluster.execute("postgres", "VACUUM ANALYZE").await;
    cluster
}
