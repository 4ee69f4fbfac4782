//! Whether a statement names a table: where a table stands, and not a column or an alias of the same name.

use std::borrow::Cow;

use dbintel_plan::sql::{Lexeme, LexemeKind, lexemes};

/// Words before a table.
const BEFORE: [&str; 6] = ["from", "join", "update", "into", "using", "only"];
/// Those that begin a list of tables.
const LISTS: [&str; 2] = ["from", "using"];
/// Words that end such a list.
const ENDS: [&str; 10] =
    ["select", "where", "set", "on", "group", "order", "having", "limit", "returning", "values"];

/// Whether the text names this table, `schema.name`. One that it names without a schema can be it.
pub(super) fn names_table(text: &str, table: &str) -> bool {
    let (schema, name) = table.rsplit_once('.').unwrap_or(("", table));
    let (all, _) = lexemes(text);
    let (mut expects, mut is_list) = (false, false);
    for (place, lexeme) in all.iter().enumerate() {
        let is_one = |words: &[&str]| {
            lexeme.kind == LexemeKind::Word && words.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word))
        };
        if is_one(&BEFORE) {
            (expects, is_list) = (true, is_list || is_one(&LISTS));
        } else if is_one(&ENDS) {
            (expects, is_list) = (false, false);
        } else if lexeme.kind == LexemeKind::Comma {
            expects = is_list;
        } else if let Some(first) = identifier(lexeme).filter(|_| expects) {
            expects = false;
            let is_dot = all.get(place + 1).is_some_and(|next| next.kind == LexemeKind::Dot);
            let second = all.get(place + 2).filter(|_| is_dot).and_then(identifier);
            let is_it = match second {
                Some(second) => first == schema && second == name,
                None => first == name,
            };
            if is_it {
                return true;
            }
        }
    }
    false
}

/// A name as the server has it.
fn identifier<'a>(lexeme: &Lexeme<'a>) -> Option<Cow<'a, str>> {
    match lexeme.kind {
        LexemeKind::Word => Some(lexeme.text.to_lowercase().into()),
        LexemeKind::QuotedIdentifier => {
            let inner = lexeme.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.replace("\"\"", "\"").into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::names_table;

    #[test]
    fn a_table_is_one_where_tables_stand() {
        for text in [
            "SELECT ? FROM orders",
            "select o.id from public.orders o where ?",
            "SELECT 1 FROM customers c, Orders WHERE ?",
            "SELECT 1 FROM (SELECT 1 FROM lines) l JOIN orders ON true",
            "UPDATE ONLY orders SET x = $1",
            "INSERT INTO public . orders (a, b) VALUES ($1, $2)",
            "DELETE FROM lines USING stock, orders WHERE ?",
            r#"SELECT 1 FROM "public"."orders""#,
        ] {
            assert!(names_table(text, "public.orders"), "{text}");
        }
        assert!(names_table(r#"SELECT 1 FROM "Sales ""A""""#, r#"public.Sales "A""#));
    }

    #[test]
    fn a_column_an_alias_or_a_table_elsewhere_is_not() {
        for text in [
            "SELECT orders FROM customers",
            "SELECT id, orders FROM customers WHERE orders > ?",
            "SELECT 1 FROM archive.orders",
            "SELECT 1 FROM customers orders",
            "SELECT 1 FROM customers WHERE a = $1 ORDER BY b, orders",
            "DELETE FROM customers WHERE ? RETURNING id, orders",
            "UPDATE customers SET a = $1, orders = $2",
            r#"SELECT 1 FROM "Orders""#,
            "",
            "FROM",
        ] {
            assert!(!names_table(text, "public.orders"), "{text}");
        }
    }
}
