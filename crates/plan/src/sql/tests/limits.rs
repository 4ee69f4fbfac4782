//! Guarantees: bounds hold, are reported, and cost stays linear for input made to hurt.

use super::{
    super::{DEFAULT_MAX_TEXT_BYTES, MAX_LIST_DEPTH, MaskLimits, Masker, Problem, mask},
    masked,
};

#[test]
fn the_text_is_cut_before_the_token_that_does_not_fit() {
    let whole = "SELECT größe, b";
    let of_length = |max_text_bytes| mask(whole, MaskLimits { max_text_bytes, ..MaskLimits::default() });
    for (max_text_bytes, expected) in [
        (0, ""),
        (5, ""),
        (6, "SELECT"),
        (7, "SELECT"),
        (13, "SELECT"),
        (14, "SELECT größe"),
        (15, "SELECT größe,"),
        (16, "SELECT größe,"),
        (17, whole),
        (usize::MAX, whole),
    ] {
        let masked = of_length(max_text_bytes);
        assert_eq!(masked.text, expected, "{max_text_bytes}");
        assert_eq!(masked.truncated, expected != whole, "{max_text_bytes}");
        assert!(masked.problems.is_empty());
    }
}

#[test]
fn a_collapsed_list_needs_no_room() {
    let rows = vec!["('some text', 1)"; 1000].join(", ");
    let text = format!("INSERT INTO t VALUES {rows}");
    let expected = "INSERT INTO t VALUES (?, ?)";
    let masked = mask(&text, MaskLimits { max_text_bytes: expected.len(), ..MaskLimits::default() });
    assert_eq!(masked.text, expected);
    assert!(!masked.truncated);
}

#[test]
fn a_long_input_is_cut_at_a_character() {
    let limits = MaskLimits { max_input_bytes: 12, ..MaskLimits::default() };
    let masked = mask("SELECT 'é', éé, bob", limits);
    assert_eq!(masked.text, "SELECT ?,");
    assert!(masked.truncated);
    assert!(masked.problems.contains(Problem::InputTooLong));
    let whole = mask("SELECT 12345", limits);
    assert!(!whole.truncated && whole.problems.is_empty());
}

#[test]
fn a_literal_at_the_input_limit_does_not_leak() {
    let limits = MaskLimits { max_input_bytes: 14, ..MaskLimits::default() };
    let masked = mask("SELECT 'secret secret'", limits);
    assert_eq!(masked.text, "SELECT ?");
    assert!(masked.problems.contains(Problem::UnterminatedLiteral));
    assert!(masked.problems.contains(Problem::InputTooLong));
}

#[test]
fn lists_nested_too_deep_keep_their_elements() {
    let nested = |depth| format!("{}1, 2{}", "a IN (".repeat(depth), ")".repeat(depth));
    let deepest = masked(&nested(MAX_LIST_DEPTH));
    assert!(deepest.problems.is_empty());
    assert!(deepest.text.contains("(?)"));
    let too_deep = masked(&nested(MAX_LIST_DEPTH + 1));
    assert_eq!(too_deep.problems.iter().collect::<Vec<_>>(), [Problem::NestingTooDeep]);
    assert!(too_deep.text.contains("(?, ?)"));
}

/// Quadratic behaviour would take minutes here; linear takes well under a second even without optimisation.
#[test]
fn hostile_input_takes_linear_time() {
    const BYTES: usize = 1 << 18;
    for piece in [
        "+-",
        "+",
        "=-",
        "'a'\n",
        "'a' --\n",
        "$a$b",
        "$a",
        "$$",
        "$",
        "/*",
        "/*/",
        "*/",
        "--",
        "-- \n",
        "(",
        ")",
        "[",
        "IN (",
        "IN (1,",
        "VALUES (",
        "VALUES (1),(",
        "ARRAY[",
        "ARRAY[1,",
        "\"",
        "\"\"",
        "''",
        "'\\",
        "E'\\'",
        "1",
        "1.",
        ".",
        "-1",
        "- 1 ",
        "- 1\n",
        "-1/**/",
        ";",
        "WITH a AS (",
        "FROM a,",
        "a.",
        "a ",
        "é",
        "\0",
        "U&",
        "U&'a'\n",
        "?",
    ] {
        let text = piece.repeat(BYTES / piece.len());
        let masked = masked(&text);
        assert!(masked.text.len() <= DEFAULT_MAX_TEXT_BYTES);
    }
    // A tag as long as half the text, with many beginnings of it in the other half.
    let tag = format!("${}$", "a".repeat(BYTES / 2));
    masked(&format!("{tag}{}", "$aaaa".repeat(BYTES / 10)));
    // Elements that are long, equal and nested.
    let nested = format!("{}f(a), f(a){}", "x IN (".repeat(MAX_LIST_DEPTH), ")".repeat(MAX_LIST_DEPTH));
    masked(&format!("x IN ({})", vec![nested; 500].join(", ")));
}

#[test]
fn a_masker_keeps_nothing_between_texts() {
    let mut masker = Masker::new(MaskLimits::default());
    for text in
        ["SELECT 1, (a IN (1, 2", "VALUES (1), (", "SELECT 'x", "", "ROLLBACK TO s", "a -", "SELECT a =", ";"]
    {
        let _ = masker.mask(text);
        let expected = masked("SELECT -1, b FROM t WHERE a IN (1, 2)");
        assert_eq!(masker.mask("SELECT -1, b FROM t WHERE a IN (1, 2)"), expected, "after {text}");
    }
}
