//! What masking promises for every input, as checks that panic. The tests here and the fuzz target share them.

use super::{MAX_SUMMARY_BYTES, MaskLimits, Masked, Masker, mask};

/// A text that no fuzzer writes by itself, put into literals to see whether it comes out.
const SECRET: &str = "zqSECRETqz";

/// Literals are appended to masked texts up to this length; longer ones add nothing but time.
const MAX_APPENDED_TO_BYTES: usize = 100;

/// The least part of [`SECRET`] that counts as a leak.
const LEAK_BYTES: usize = 4;

/// Checks everything that is promised for any text whatsoever.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(text: &str) {
    let limits = MaskLimits { max_text_bytes: usize::MAX, ..MaskLimits::default() };
    let masked = mask(text, limits);
    check_shape(&masked);
    check_idempotence(&masked, limits);
    check_bounds(text, &masked);
    check_appended_literals(&masked, limits);
}

/// Nothing that begins a literal or a comment is in the output. This scan is deliberately not the lexer's.
fn check_shape(masked: &Masked) {
    let mut outside_quotes = String::new();
    for (i, part) in masked.text.split('"').enumerate() {
        let inside = i % 2 == 1;
        outside_quotes.push_str(if inside { "\"\"" } else { part });
    }
    assert_eq!(masked.text.split('"').count() % 2, 1, "an identifier is not closed: {masked:?}");
    assert!(!outside_quotes.contains('\''), "a quote: {masked:?}");
    assert!(!outside_quotes.contains("--"), "a comment: {masked:?}");
    assert!(!outside_quotes.contains("/*"), "a comment: {masked:?}");
    assert!(!outside_quotes.contains("  "), "more than one space: {masked:?}");
    assert!(!masked.text.contains(|c: char| c.is_ascii_control()), "a control character: {masked:?}");
    for word in
        outside_quotes.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_$".contains(c))
    {
        check_word(word, masked);
    }
    assert!(masked.summary.len() <= MAX_SUMMARY_BYTES, "the summary is too long: {masked:?}");
}

/// Digits and dollars are parts of names or parameters only.
fn check_word(word: &str, masked: &Masked) {
    let Some(parameter) = word.strip_prefix('$') else {
        assert!(!word.starts_with(|c: char| c.is_ascii_digit()), "a number: {masked:?}");
        return;
    };
    let digits = parameter.find(|c: char| !c.is_ascii_digit()).unwrap_or(parameter.len());
    assert!((1..=5).contains(&digits), "not a parameter: {masked:?}");
}

fn check_idempotence(masked: &Masked, limits: MaskLimits) {
    if masked.truncated {
        return;
    }
    let again = mask(&masked.text, limits);
    assert_eq!(again.text, masked.text, "the text is not stable: {masked:?}");
    assert_eq!(again.fingerprint, masked.fingerprint, "the fingerprint is not stable: {masked:?} {again:?}");
}

/// A smaller limit gives the beginning of the same text, and nothing else changes. One [`Masker`] does them all.
fn check_bounds(text: &str, unbounded: &Masked) {
    for max_text_bytes in [0, 1, 7, 64, 1000] {
        let limits = MaskLimits { max_text_bytes, ..MaskLimits::default() };
        let mut masker = Masker::new(limits);
        let before = masker.mask("SELECT 'something', 1 FROM a WHERE b IN (1, 2");
        assert!(before.text.len() <= max_text_bytes, "too long for {max_text_bytes}: {before:?}");
        let masked = masker.mask(text);
        assert!(masked.text.len() <= max_text_bytes, "too long for {max_text_bytes}: {masked:?}");
        assert!(unbounded.text.starts_with(&masked.text), "not the beginning: {masked:?} of {unbounded:?}");
        let is_cut = masked.text.len() < unbounded.text.len();
        assert_eq!(masked.truncated, is_cut || unbounded.truncated, "{masked:?}");
        let expected = Masked { text: masked.text.clone(), truncated: masked.truncated, ..unbounded.clone() };
        assert_eq!(masked, expected, "depends on the limit");
    }
}

/// After a text whose tokens are all closed, any literal begins in a known state. It must not come out, wherever
/// it is cut.
fn check_appended_literals(masked: &Masked, limits: MaskLimits) {
    if masked.text.len() > MAX_APPENDED_TO_BYTES || leaks(&masked.text) {
        return;
    }
    let mut masker = Masker::new(limits);
    let literals = [
        format!("'{SECRET}''{SECRET}'"),
        format!("E'{SECRET}\\'{SECRET}\\\\'"),
        format!("U&'{SECRET}' UESCAPE 'q'"),
        format!("$a${SECRET}$b${SECRET}$a$"),
        format!("'{SECRET}' --{SECRET}\n'{SECRET}'"),
        format!("/*{SECRET}/*{SECRET}*/{SECRET}*/1"),
    ];
    for literal in literals {
        for cut in (0..=literal.len()).filter(|cut| literal.is_char_boundary(*cut)) {
            let text = format!("{} {}", masked.text, literal.get(..cut).unwrap_or_default());
            let with_literal = masker.mask(&text);
            assert!(!leaks(&with_literal.text), "a literal leaked: {text} {with_literal:?}");
            assert!(!leaks(&with_literal.summary), "a literal leaked: {text} {with_literal:?}");
        }
    }
}

fn leaks(text: &str) -> bool {
    SECRET
        .as_bytes()
        .windows(LEAK_BYTES)
        .any(|piece| text.as_bytes().windows(LEAK_BYTES).any(|at| at == piece))
}
