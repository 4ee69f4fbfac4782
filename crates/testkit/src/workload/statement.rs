//! The statements of the shop: what they do, how often they come, who sends them.

use fastrand::Rng;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::schema::{APPLICATION_ROLE, BILLING, REPORT_ROLE, SHOP, Size};

/// One kind of statement, or of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A customer by primary key, prepared.
    PointLookup,
    /// Orders of a day, prepared.
    Range,
    /// Orders of a customer with items and products, prepared.
    Join,
    /// Turnover by category, simple protocol, literals in the text.
    Aggregate,
    /// Orders by a skewed column without an index, simple protocol.
    UnindexedFilter,
    /// Events over some partitions, prepared.
    Partitions,
    /// A sort that spills to disk, simple protocol.
    Spill,
    /// A new order with its items, one transaction, prepared.
    Insert,
    /// Changes the status of an order, prepared.
    Update,
    /// Deletes an order that this workload has made, prepared.
    Delete,
    /// A booking in the second database, prepared.
    Booking,
    /// Updates one hot row and keeps it locked for a moment.
    HoldLock,
    /// Updates the same row and waits for the lock.
    WaitForLock,
    /// Violates a unique constraint: fails, as expected.
    Failing,
    /// A self-join of the items, rarely: hundreds of milliseconds.
    Slow,
}

/// How long [`Kind::HoldLock`] keeps its lock.
const LOCK_HELD_SECONDS: f64 = 0.3;

/// All kinds with how often they come, relative to each other.
pub(crate) const MIX: [(Kind, u32); 15] = [
    (Kind::PointLookup, 300),
    (Kind::Range, 100),
    (Kind::Join, 120),
    (Kind::Aggregate, 30),
    (Kind::UnindexedFilter, 40),
    (Kind::Partitions, 60),
    (Kind::Spill, 10),
    (Kind::Insert, 80),
    (Kind::Update, 100),
    (Kind::Delete, 40),
    (Kind::Booking, 60),
    (Kind::HoldLock, 4),
    (Kind::WaitForLock, 20),
    (Kind::Failing, 10),
    (Kind::Slow, 2),
];

/// Where a connection goes: role, database, `application_name`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) role: &'static str,
    pub(crate) database: &'static str,
    pub(crate) application: &'static str,
}

impl Kind {
    /// A random one, as often as [`MIX`] says.
    pub(crate) fn pick(rng: &mut Rng) -> Self {
        let total: u32 = MIX.iter().map(|(_, weight)| weight).sum();
        let mut ticket = rng.u32(..total);
        for (kind, weight) in MIX {
            if ticket < weight {
                return kind;
            }
            ticket -= weight;
        }
        Self::PointLookup
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::Booking => Place { role: APPLICATION_ROLE, database: BILLING, application: "billing" },
            Self::Aggregate | Self::UnindexedFilter | Self::Spill | Self::Slow => {
                Place { role: REPORT_ROLE, database: SHOP, application: "reports" }
            }
            _ => Place { role: APPLICATION_ROLE, database: SHOP, application: "web" },
        }
    }

    /// Whether an error is what this kind is for.
    pub(crate) fn is_meant_to_fail(self) -> bool {
        self == Self::Failing
    }

    pub(crate) async fn run(
        self,
        connection: &mut PgConnection,
        rng: &mut Rng,
        size: Size,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::PointLookup | Self::Range | Self::Join | Self::Partitions => {
                read_prepared(self, connection, rng, size).await
            }
            Self::Aggregate | Self::UnindexedFilter | Self::Spill | Self::Slow => {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(report(self, rng)))).await.map(drop)
            }
            Self::Insert | Self::Booking => insert(self, connection, rng, size).await,
            Self::Update | Self::Delete | Self::WaitForLock | Self::Failing => {
                change(self, connection, rng, size).await
            }
            Self::HoldLock => hold_lock(connection).await,
        }
    }
}

async fn read_prepared(
    kind: Kind,
    connection: &mut PgConnection,
    rng: &mut Rng,
    size: Size,
) -> Result<(), sqlx::Error> {
    let customer = rng.i32(1..=size.customers);
    let day = rng.i32(0..180);
    let query = match kind {
        Kind::PointLookup => {
            sqlx::query("SELECT name, email, country FROM customers WHERE id = $1").bind(customer)
        }
        Kind::Range => sqlx::query(
            "SELECT id, total_cents FROM orders WHERE placed_at >= '2026-01-01Z'::timestamptz + $1 * interval '1 day'
             AND placed_at < '2026-01-02Z'::timestamptz + $1 * interval '1 day' ORDER BY placed_at",
        )
        .bind(day),
        Kind::Join => sqlx::query(
            "SELECT o.id, o.status, p.sku, i.quantity FROM orders o JOIN order_items i ON i.order_id = o.id
             JOIN products p ON p.id = i.product_id WHERE o.customer_id = $1 ORDER BY o.placed_at DESC LIMIT 20",
        )
        .bind(customer),
        _ => sqlx::query(
            "SELECT kind, count(*), max(happened_at) FROM events WHERE customer_id = $1
             AND happened_at >= '2026-03-01Z' AND happened_at < '2026-05-01Z' GROUP BY kind",
        )
        .bind(customer),
    };
    connection.fetch_all(query).await.map(drop)
}

fn report(kind: Kind, rng: &mut Rng) -> String {
    match kind {
        Kind::Aggregate => format!(
            "SELECT p.category, count(*), sum(i.quantity * i.price_cents) FROM order_items i
             JOIN products p ON p.id = i.product_id WHERE i.order_id BETWEEN {0} AND {0} + 500 GROUP BY p.category",
            rng.i32(1..4000)
        ),
        Kind::UnindexedFilter => {
            let status = rng.choice(["done", "open", "failed"]).unwrap_or("open");
            format!("SELECT count(*), sum(total_cents) FROM orders WHERE status = '{status}'")
        }
        Kind::Spill => format!(
            "BEGIN; SET LOCAL work_mem = '64kB';
             SELECT payload FROM events ORDER BY payload->>'ms', id OFFSET {} LIMIT 1; COMMIT",
            rng.i32(0..100)
        ),
        _ => format!(
            "SELECT count(*) FROM order_items a JOIN order_items b USING (product_id)
             WHERE a.product_id <= 200 AND a.quantity + b.quantity > {}",
            rng.i32(1..10)
        ),
    }
}

async fn insert(
    kind: Kind,
    connection: &mut PgConnection,
    rng: &mut Rng,
    size: Size,
) -> Result<(), sqlx::Error> {
    if kind == Kind::Booking {
        let booking = sqlx::query("INSERT INTO ledger (order_id, amount_cents) VALUES ($1, $2)");
        return connection
            .execute(booking.bind(rng.i32(1..=size.orders)).bind(rng.i32(1..50_000)))
            .await
            .map(drop);
    }
    let mut transaction = connection.begin().await?;
    let order: i32 = sqlx::query_scalar(
        "INSERT INTO orders (customer_id, status, placed_at, total_cents) VALUES ($1, 'open', now(), $2) RETURNING id",
    )
    .bind(rng.i32(1..=size.customers))
    .bind(rng.i32(100..50_000))
    .fetch_one(&mut *transaction)
    .await?;
    for line in 1..=rng.i32(1..4) {
        sqlx::query("INSERT INTO order_items VALUES ($1, $2, $3, $4, $5)")
            .bind(order)
            .bind(line)
            .bind(rng.i32(1..=size.products))
            .bind(rng.i32(1..5))
            .bind(rng.i32(100..9_900))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// Deletes only what was inserted here, so that the seeded part stays as it was.
async fn change(
    kind: Kind,
    connection: &mut PgConnection,
    rng: &mut Rng,
    size: Size,
) -> Result<(), sqlx::Error> {
    let query = match kind {
        Kind::Update => sqlx::query("UPDATE orders SET status = 'done', placed_at = now() WHERE id = $1")
            .bind(rng.i32(1..=size.orders)),
        Kind::Delete => {
            sqlx::query("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders WHERE id > $1)")
                .bind(size.orders)
        }
        Kind::WaitForLock => sqlx::query("UPDATE products SET stock = stock - $1 WHERE id = 1").bind(1),
        _ => sqlx::query("INSERT INTO customers VALUES ($1, 'twice', 'twice', 'DE', now())").bind(1),
    };
    connection.execute(query).await.map(drop)
}

async fn hold_lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute("UPDATE products SET stock = stock + 1 WHERE id = 1").await?;
    transaction.execute(sqlx::query("SELECT pg_sleep($1)").bind(LOCK_HELD_SECONDS)).await?;
    transaction.commit().await
}
