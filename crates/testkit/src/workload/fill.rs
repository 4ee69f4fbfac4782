//! Fills `pg_stat_statements` with as many distinct entries, or as many bytes of text, as a test wants.
//!
//! A query id depends on which columns a statement names and in which order. So the number of a statement, written in
//! base 16, is its list of columns: as many distinct statements as wanted, on one empty table, each executed in
//! microseconds. They go out in the simple protocol, a thousand per message, and each still counts as a top-level
//! statement.

use std::fmt::Write as _;
use std::ops::Range;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::postgres::Cluster;

/// Columns of the table, the base of the numbers.
const COLUMNS: u32 = 16;
/// Statements per message.
const STATEMENTS_PER_MESSAGE: usize = 1_000;
/// A message is sent when it has become that long, whatever it holds.
const MESSAGE_BYTES: usize = 1 << 20;

/// Executes one statement for each number, once. The same number always makes the same statement; entries beyond
/// `pg_stat_statements.max` evict others.
pub async fn distinct_statements(cluster: &Cluster, database: &str, numbers: Range<u32>) {
    send(cluster, database, numbers, 0).await;
}

/// The same with texts of at least `text_bytes` each: predicates over and over, nothing that a collector could strip.
/// `distinct_statements_of_size(…, 0..1_280, 8 << 10)` makes 10 MiB of text.
pub async fn distinct_statements_of_size(
    cluster: &Cluster,
    database: &str,
    numbers: Range<u32>,
    text_bytes: usize,
) {
    send(cluster, database, numbers, text_bytes).await;
}

async fn send(cluster: &Cluster, database: &str, numbers: Range<u32>, text_bytes: usize) {
    let columns: Vec<String> = (0..COLUMNS).map(|column| format!("c{column} int")).collect();
    let table = format!("CREATE TABLE IF NOT EXISTS distinct_source ({})", columns.join(", "));
    let mut connection = cluster.connect(database).await;
    connection.execute(AssertSqlSafe(table)).await.expect("a superuser may create a table");
    let mut message = String::new();
    let mut statements = 0;
    let last = numbers.end;
    for number in numbers {
        push_statement(&mut message, number, text_bytes);
        statements += 1;
        if statements == STATEMENTS_PER_MESSAGE || message.len() >= MESSAGE_BYTES || number + 1 == last {
            let text = AssertSqlSafe(std::mem::take(&mut message));
            connection.execute(sqlx::raw_sql(text)).await.expect("valid statements");
            statements = 0;
        }
    }
    let _ = connection.close().await;
}

fn push_statement(message: &mut String, number: u32, text_bytes: usize) {
    let begin = message.len();
    message.push_str("SELECT ");
    let mut rest = number;
    loop {
        let _ = write!(message, "c{}", rest % COLUMNS);
        rest /= COLUMNS;
        if rest == 0 {
            break;
        }
        message.push(',');
    }
    message.push_str(" FROM distinct_source");
    let mut separator = " WHERE ";
    while message.len() - begin < text_bytes {
        let _ = write!(message, "{separator}c3 IS NOT NULL");
        separator = " OR ";
    }
    message.push(';');
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn statement(number: u32, text_bytes: usize) -> String {
        let mut text = String::new();
        push_statement(&mut text, number, text_bytes);
        text
    }

    #[test]
    fn numbers_are_lists_of_columns() {
        assert_eq!(statement(0, 0), "SELECT c0 FROM distinct_source;");
        assert_eq!(statement(0x21f, 0), "SELECT c15,c1,c2 FROM distinct_source;");
        let texts: HashSet<_> = (0..10_000).map(|number| statement(number, 0)).collect();
        assert_eq!(texts.len(), 10_000);
    }

    #[test]
    fn texts_reach_their_size() {
        let text = statement(1, 100);
        assert!((100..130).contains(&text.len()), "{text}");
    }
}
