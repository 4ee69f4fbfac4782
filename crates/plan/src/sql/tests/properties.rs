//! Guarantees: what holds for any text, checked on random ones; and what must not matter, checked by writing the
//! same random statement in two ways.

use proptest::{collection::vec, prelude::*};

use super::{super::invariants, masked};

fn config() -> ProptestConfig {
    // No file of failures beside the sources: a failure belongs into a test with a name.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_keeps_the_promises(text in any::<String>()) {
        invariants::check(&text);
    }

    #[test]
    fn any_bytes_keep_the_promises(bytes in vec(any::<u8>(), 0..200)) {
        invariants::check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn text_of_meaningful_characters_keeps_the_promises(text in "[aeEuUbBxXnN19'\"$&/*+?;:(),.=<@|\\\\ \n\\[\\]-]{0,80}") {
        invariants::check(&text);
    }

    #[test]
    fn only_what_matters_matters(pieces in vec(piece(), 1..40)) {
        let (one, other): (Vec<_>, Vec<_>) = pieces.iter().map(|piece| (&piece.one, &piece.other)).unzip();
        let (one, other) = (write(&one), write(&other));
        let (masked_one, masked_other) = (masked(&one), masked(&other));
        prop_assert_eq!(masked_one.fingerprint, masked_other.fingerprint, "{} | {}", one, other);
        prop_assert_eq!(masked_one.kind, masked_other.kind);
        prop_assert_eq!(masked_one.text_may_leave(), masked_other.text_may_leave());
        prop_assert!(!masked_one.text.contains("SECRET"), "{} | {}", one, masked_one.text);
        prop_assert!(!masked_other.text.contains("SECRET"), "{} | {}", other, masked_other.text);
        invariants::check(&one);
        invariants::check(&other);
    }

    #[test]
    fn nothing_comes_out_of_a_cut_statement(pieces in vec(piece(), 1..20), cut in 0.0..1.0_f64) {
        let text = write(&pieces.iter().map(|piece| &piece.other).collect::<Vec<_>>());
        let end = text.floor_char_boundary((text.len() as f64 * cut) as usize);
        let masked = masked(&text[..end]);
        prop_assert!(!masked.text.contains("SECR"), "{} | {}", text, masked.text);
        invariants::check(&text[..end]);
    }

    #[test]
    fn the_number_of_values_does_not_matter(values in vec(literal(), 1..30)) {
        let list = |values: &[String]| format!("SELECT a FROM t WHERE b IN ({}) AND c", values.join(", "));
        prop_assert_eq!(masked(&list(&values)).fingerprint, masked(&list(&values[..1])).fingerprint);
        let rows = |values: &[String]| {
            let rows: Vec<_> = values.iter().map(|value| format!("({value}, now(), DEFAULT)")).collect();
            format!("INSERT INTO t VALUES {} RETURNING a", rows.join(","))
        };
        prop_assert_eq!(masked(&rows(&values)).fingerprint, masked(&rows(&values[..1])).fingerprint);
    }
}

/// The same token written in two ways, each with the gap after it.
#[derive(Clone, Debug)]
struct Piece {
    one: String,
    other: String,
}

fn write(pieces: &[&String]) -> String {
    pieces.iter().map(|piece| piece.as_str()).collect()
}

fn piece() -> impl Strategy<Value = Piece> {
    let token = prop_oneof![
        4 => word(),
        2 => same(&["\"Quoted\"", "\"a b\"", "\"it's\"", "\"--\"", "\"a\"\"b\"", "U&\"x\""]),
        // A comma after each literal, because two literals on two lines are one.
        4 => (literal(), literal()).prop_map(|(one, other)| (format!("{one} ,"), format!("{other}\n,"))),
        2 => (number(), number()),
        1 => ("[$][1-9]", "[$][1-9][0-9]"),
        3 => same(&["=", "<>", "+", "->>", "?|", "?", "@@", "::", ":=", "=>", "||", "*", "~", "<=", "@-", "%"]),
        1 => Just(("-".to_owned(), "-".to_owned())),
        3 => same(&["(", ")", "[", "]", ",", ",", ";", ".", ":", "..", "IN (", "VALUES (", "ARRAY["]),
    ];
    (token, gap(), gap()).prop_map(|((one, other), gap_one, gap_other)| Piece {
        one: one + &gap_one,
        other: other + &gap_other,
    })
}

/// A word, in two cases.
fn word() -> impl Strategy<Value = (String, String)> {
    let keyword = same(&[
        "select",
        "insert",
        "into",
        "update",
        "delete",
        "with",
        "as",
        "values",
        "in",
        "array",
        "table",
        "from",
        "where",
        "and",
        "not",
        "null",
        "true",
        "default",
        "create",
        "alter",
        "user",
        "role",
        "set",
        "explain",
        "execute",
        "begin",
        "rollback",
        "savepoint",
        "end",
        "case",
        "union",
        "join",
        "using",
        "like",
        "between",
        "uescape",
        "e",
        "u",
        "n",
    ]);
    let identifier = "[a-z_][a-z0-9_$]{0,8}".prop_map(|name| (name.clone(), name));
    prop_oneof![keyword, identifier].prop_map(|(one, other)| (one, other.to_ascii_uppercase()))
}

fn same(tokens: &'static [&'static str]) -> impl Strategy<Value = (String, String)> {
    prop::sample::select(tokens).prop_map(|token| (token.to_owned(), token.to_owned()))
}

/// A literal of any form but a number, with a secret in it.
fn literal() -> impl Strategy<Value = String> {
    let content = || {
        "[a-z0-9 /*;,()?
\"é-]{0,6}"
    };
    (0..7, content(), content()).prop_map(|(form, before, after)| {
        let content = format!("{before}SECRET{after}");
        match form {
            0 => format!("'{content}'"),
            1 => format!("'it''s {content}\\n'"),
            2 => format!("E'\\'{content}\\\\'"),
            3 => format!("U&'{content}'"),
            4 => format!("${}${content}'${}$", "tag", "tag"),
            5 => format!("$${content}'$$"),
            _ => format!("'{content}' --{}\n '{content}'", content.replace('\n', "")),
        }
    })
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,9}",
        "[0-9]{1,3}[.][0-9]{0,3}",
        "[.][0-9]{1,3}",
        "[0-9]e[+-]?[0-9]",
        "0x[0-9a-f]{1,4}"
    ]
}

/// White space or comments.
fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(" ".to_owned()),
        "[ \t\r\n]{1,3}",
        "[a-z'\"$ ]{0,5}".prop_map(|comment| format!("/*{comment}SECRET/*{comment}*/*/")),
        "[a-z'\"$/ ]{0,5}".prop_map(|comment| format!(" --{comment}SECRET\n")),
    ]
}

/// A little fuzzing without a fuzzer: the same texts at each run.
#[test]
fn seeded_texts_keep_the_promises() {
    const PIECES: &[&str] = &[
        "'",
        "''",
        "\"",
        "\"\"",
        "$",
        "$$",
        "$a$",
        "$1",
        "$a",
        "/*",
        "*/",
        "--",
        "\n",
        "\r\n",
        "\\",
        "\\'",
        "E'",
        "U&'",
        "U&\"",
        "B'",
        "n'",
        " ",
        "\t",
        "\0",
        "\u{7f}",
        ",",
        ";",
        "(",
        ")",
        "[",
        "]",
        ".",
        "..",
        ":",
        "::",
        ":=",
        "=>",
        "=",
        "-",
        "+",
        "*",
        "/",
        "?",
        "?|",
        "@",
        "<",
        "!",
        "!=",
        "1",
        "1.5",
        ".5",
        "1e",
        "0x1f",
        "99999",
        "1_0",
        "a",
        "é",
        "日",
        "e",
        "u",
        "in",
        "IN (",
        "values",
        "VALUES (",
        "ARRAY[",
        "select",
        "with",
        "as",
        "from",
        "join",
        "update",
        "null",
        "true",
        "default",
        "uescape",
        "rollback",
        "savepoint",
        "explain",
        "execute",
        "create",
        "user",
        "mapping",
        "{",
        "}",
        "not",
        "-1",
        "- 1",
        "::int",
        "\"A\"",
        "\"a\"",
        "\"in\"",
        "now()",
        "\u{a0}",
        "\u{fffd}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    };
    for _ in 0..4000 {
        let pieces = next(30);
        let text: String = (0..pieces).map(|_| PIECES[next(PIECES.len())]).collect();
        invariants::check(&text);
    }
}
