//! Building SQL text from constants and quoted identifiers.

use sqlx::AssertSqlSafe;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;

use super::error::QueryError;

/// SQL text that this module vouches for: made of constants of the program and of [`identifier`]s.
///
/// sqlx takes run-time text only with such a promise; this is the one place that gives it.
#[must_use]
pub(crate) fn vouched(text: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.to_owned())
}

/// Bound parameters.
///
/// # Errors
/// [`QueryError`] if a value cannot be encoded.
pub(crate) fn arguments(
    add: impl FnOnce(&mut PgArguments) -> Result<(), BoxDynError>,
) -> Result<PgArguments, QueryError> {
    let mut arguments = PgArguments::default();
    add(&mut arguments).map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// A name as a quoted identifier.
#[must_use]
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal, for settings that cannot be bound. Standard-conforming strings are on in every session.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The first `max` bytes of a text expression as they are, for reading in a database whose encoding is UTF-8, or not.
///
/// As text they could fail to arrive: a text of another database can be in another encoding than the connected one, and
/// where the encoding is not known a character can be cut in two. Whoever reads the bytes must expect anything.
#[must_use]
pub(crate) fn text_bytes(expression: &str, max: i64, is_utf8: bool) -> String {
    let bytes = if is_utf8 {
        format!("textsend({expression})")
    } else {
        format!("convert_to({expression}, 'SQL_ASCII')")
    };
    format!("substring({bytes} FROM 1 FOR {max})")
}

/// Microseconds since the Unix epoch of a timestamp expression.
#[must_use]
pub(crate) fn micros(expression: &str) -> String {
    format!("(extract(epoch FROM {expression}) * 1000000)::int8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(identifier(r#"a"; DROP TABLE b; --"#), r#""a""; DROP TABLE b; --""#);
        assert_eq!(literal("o'clock"), "'o''clock'");
    }
}
