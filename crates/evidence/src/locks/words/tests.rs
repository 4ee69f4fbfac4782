use super::*;

#[test]
fn numbers_have_about_three_digits() {
    let check = |value: f64, text: &str| assert_eq!(plain(Some(value)), text);
    check(4.0, "4");
    check(1.25, "1.25");
    check(0.304, "0.3");
    check(14.84, "14.8");
    check(1_234.5, "1234");
    check(20.0, "20");
    check(-3.333, "-3.33");
    assert_eq!(plain(None), "unknown");
    check(f64::INFINITY, "unknown");
}

#[test]
fn a_sentence_begins_large_and_ends() {
    assert_eq!(with_capital_and_stop("4 of 6 hours seen"), "4 of 6 hours seen.");
    assert_eq!(with_capital_and_stop("watched"), "Watched.");
    assert_eq!(with_capital_and_stop("t is 3"), "t is 3.");
}
