//! What is asked of the shop: about thirty statements, most of them short, some whose parameters decide what they cost.

use fastrand::Rng;

/// Rows of the shop's tables, as [`dbintel_testkit::workload::Size::MEDIUM`] has them.
const CUSTOMERS: i32 = 20_000;
const PRODUCTS: i32 = 2_000;
const ORDERS: i32 = 150_000;
/// Days on which there are orders and events.
const DAYS: i32 = 180;

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameter {
    /// Some customers come more often than others.
    Customer,
    /// A few products are hot.
    Product,
    /// Any order.
    Order,
    /// Any day.
    Day,
    /// From 1 to this.
    UpTo(i32),
    /// The first number, or now and then the second: what makes the statement slow.
    Seldom(i32, i32),
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    /// Its text; `/* sNN */` in it tells it from the others.
    pub(crate) sql: &'static str,
    /// Its parameters, all of them whole numbers.
    pub(crate) parameters: &'static [Parameter],
    /// Calls a second at an hour that is neither peak nor trough.
    pub(crate) per_second: f64,
    /// Whether it is looked for with slow parameters now and then.
    pub(crate) mixture: bool,
}

const fn statement(sql: &'static str, parameters: &'static [Parameter], per_second: f64) -> Statement {
    Statement { sql, parameters, per_second, mixture: false }
}

const fn mixture(sql: &'static str, parameters: &'static [Parameter], per_second: f64) -> Statement {
    Statement { sql, parameters, per_second, mixture: true }
}

use Parameter::{Customer, Day, Order, Product, Seldom, UpTo};

/// All of them. Their numbers are their places, from 1.
pub(crate) const ALL: [Statement; 30] = [
    statement("SELECT /* s01 */ name, email FROM customers WHERE id = $1", &[Customer], 150.0),
    statement("SELECT /* s02 */ id FROM customers WHERE email = 'customer' || $1 || '@example.com'", &[Customer], 40.0),
    statement("SELECT /* s03 */ sku, price_cents, stock FROM products WHERE id = $1", &[Product], 100.0),
    statement("SELECT /* s04 */ id FROM products WHERE sku = 'SKU-' || $1", &[Product], 30.0),
    statement("SELECT /* s05 */ status, total_cents FROM orders WHERE id = $1", &[Order], 70.0),
    statement("SELECT /* s06 */ id, status FROM orders WHERE customer_id = $1 ORDER BY placed_at", &[Customer], 40.0),
    statement(
        "SELECT /* s07 */ o.id, i.line, i.quantity FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.customer_id = $1",
        &[Customer],
        20.0,
    ),
    statement("SELECT /* s08 */ line, quantity, price_cents FROM order_items WHERE order_id = $1", &[Order], 60.0),
    statement(
        "SELECT /* s09 */ p.sku, i.quantity FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = $1",
        &[Order],
        30.0,
    ),
    statement(
        "SELECT /* s10 */ id, total_cents FROM orders WHERE placed_at >= '2026-01-01Z'::timestamptz + $1 * interval '1 day'
         ORDER BY placed_at LIMIT 20",
        &[Day],
        20.0,
    ),
    statement(
        "SELECT /* s11 */ count(*) FROM orders WHERE placed_at >= '2026-01-01Z'::timestamptz + $1 * interval '1 day'
         AND placed_at < '2026-01-02Z'::timestamptz + $1 * interval '1 day'",
        &[Day],
        8.0,
    ),
    mixture(
        "SELECT /* s12 */ sum(total_cents) FROM orders WHERE placed_at >= '2026-01-01Z'::timestamptz + $1 * interval '1 day'
         AND placed_at < '2026-01-01Z'::timestamptz + ($1 + $2) * interval '1 day'",
        &[Day, Seldom(1, 12)],
        6.0,
    ),
    statement(
        "SELECT /* s13 */ kind, happened_at FROM events WHERE customer_id = $1 ORDER BY happened_at DESC LIMIT 10",
        &[Customer],
        20.0,
    ),
    statement(
        "SELECT /* s14 */ count(*) FROM events WHERE customer_id = $1
         AND happened_at >= '2026-03-01Z' AND happened_at < '2026-04-01Z'",
        &[Customer],
        20.0,
    ),
    mixture(
        "SELECT /* s15 */ count(*) FROM events WHERE customer_id BETWEEN $1 AND $1 + $2
         AND happened_at >= '2026-05-01Z' AND happened_at < '2026-06-01Z'",
        &[Customer, Seldom(10, 400)],
        5.0,
    ),
    statement("SELECT /* s16 */ id, sku FROM products WHERE category = 'category ' || $1", &[UpTo(11)], 8.0),
    statement("SELECT /* s17 */ id, price_cents FROM products ORDER BY price_cents DESC LIMIT $1", &[UpTo(20)], 5.0),
    statement(
        "SELECT /* s18 */ country, count(*) FROM customers WHERE id BETWEEN $1 AND $1 + 500 GROUP BY country",
        &[Customer],
        5.0,
    ),
    statement(
        "SELECT /* s19 */ id FROM orders WHERE customer_id BETWEEN $1 AND $1 + 20 AND status = 'open'",
        &[Customer],
        10.0,
    ),
    mixture(
        "SELECT /* s20 */ count(*) FROM orders WHERE customer_id BETWEEN $1 AND $1 + $2",
        &[Customer, Seldom(5, 300)],
        10.0,
    ),
    statement(
        "INSERT /* s21 */ INTO events (happened_at, customer_id, kind, payload)
         VALUES ('2026-01-01Z'::timestamptz + $1 * interval '1 day', $2, 'view', jsonb_build_object('page', $3))",
        &[Day, Customer, UpTo(500)],
        25.0,
    ),
    statement(
        "INSERT /* s22 */ INTO orders (customer_id, status, placed_at, total_cents)
         VALUES ($1, 'open', '2026-01-01Z'::timestamptz + $2 * interval '1 day', $3)",
        &[Customer, Day, UpTo(50_000)],
        12.0,
    ),
    statement("UPDATE /* s23 */ orders SET status = 'done' WHERE id = $1", &[Order], 15.0),
    statement("UPDATE /* s24 */ products SET stock = stock - 1 WHERE id = $1", &[Product], 15.0),
    statement(
        "UPDATE /* s25 */ customers SET name = 'Customer ' || $2 WHERE id = $1",
        &[Customer, UpTo(1_000_000)],
        8.0,
    ),
    statement(
        "INSERT /* s26 */ INTO order_items VALUES ($1, 3 + $2, $3, 1, 100) ON CONFLICT DO NOTHING",
        &[Order, UpTo(3), Product],
        10.0,
    ),
    statement("DELETE /* s27 */ FROM order_items WHERE order_id = $1 AND line > 3", &[Order], 6.0),
    statement(
        "SELECT /* s28 */ EXISTS (SELECT 1 FROM orders WHERE customer_id = $1 AND status = 'failed')",
        &[Customer],
        30.0,
    ),
    mixture(
        "SELECT /* s29 */ c.id, sum(o.total_cents) FROM customers c JOIN orders o ON o.customer_id = c.id
         WHERE c.id BETWEEN $1 AND $1 + $2 GROUP BY c.id ORDER BY 2 DESC LIMIT 10",
        &[Customer, Seldom(10, 150)],
        5.0,
    ),
    statement(
        "SELECT /* s30 */ id, sum(total_cents) OVER (ORDER BY placed_at) FROM orders WHERE customer_id = $1",
        &[Customer],
        15.0,
    ),
];

// === impl Parameter ===

impl Parameter {
    /// A value; `share` of the calls have slow parameters, where there are any.
    pub(crate) fn draw(self, rng: &mut Rng, share: f64) -> i32 {
        // Squares of uniform numbers are small more often than large.
        let skewed = |rng: &mut Rng, count: i32| 1 + (rng.f64().powi(2) * f64::from(count)) as i32;
        match self {
            Self::Customer => skewed(rng, CUSTOMERS - 1),
            Self::Product => 1 + (rng.f64().powi(4) * f64::from(PRODUCTS - 1)) as i32,
            Self::Order => rng.i32(1..=ORDERS),
            Self::Day => rng.i32(0..DAYS),
            Self::UpTo(count) => rng.i32(1..=count),
            Self::Seldom(usual, slow) => {
                if rng.f64() < share {
                    slow
                } else {
                    usual
                }
            }
        }
    }
}
