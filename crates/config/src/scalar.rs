//! What a plain scalar means: the core schema of YAML 1.2, section 10.3.2.
//!
//! So `yes`, `on` and `1_000` are text, `0o17` and `0x1F` are numbers.

use crate::node::Scalar;

/// The meaning of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    /// Also whole numbers that do not fit into 64 bits.
    Float(f64),
    Text,
}

/// The meaning of a scalar as written: a quoted one is text.
pub(crate) fn meaning(scalar: &Scalar) -> Meaning {
    if scalar.is_quoted() { Meaning::Text } else { plain_meaning(scalar.text()) }
}

/// The meaning of plain text.
pub(crate) fn plain_meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "true" | "True" | "TRUE" => Meaning::Bool(true),
        "false" | "False" | "FALSE" => Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Meaning::Float(f64::NAN),
        _ => number(text).unwrap_or(Meaning::Text),
    }
}

/// Whether reading the number and printing it may give other text: `007`, `+5`, `0x1F`. Such text may be
/// a name or a password, so it stays text where nobody asks for a number.
pub(crate) fn is_odd_number(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    let is_padded = digits.starts_with('0') && !matches!(digits.as_bytes().get(1), None | Some(b'.'));
    is_padded || text.starts_with('+')
}

fn number(text: &str) -> Option<Meaning> {
    let radix = |digits: &str, radix: u32| {
        let is_unsigned = !digits.starts_with(['+', '-']);
        u64::from_str_radix(digits, radix).ok().filter(|_| is_unsigned).map(Meaning::Unsigned)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(Meaning::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(whole(text, digits, negative));
    }
    is_decimal(digits).then(|| text.parse().ok().map(Meaning::Float)).flatten()
}

fn whole(text: &str, digits: &str, negative: bool) -> Meaning {
    let exact = match negative {
        true => text
            .parse()
            .ok()
            .map(|number: i64| if number == 0 { Meaning::Unsigned(0) } else { Meaning::Signed(number) }),
        false => digits.parse().ok().map(Meaning::Unsigned),
    };
    exact.or_else(|| text.parse().ok().map(Meaning::Float)).unwrap_or(Meaning::Text)
}

/// `(\.[0-9]+ | [0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the sign already taken off.
fn is_decimal(text: &str) -> bool {
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let has_exponent = exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits));
    has_digits && all_digits(whole) && all_digits(fraction) && has_exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_meaning_of_yaml_1_2() {
        let check = |text: &str, expect: Meaning| assert_eq!(plain_meaning(text), expect, "{text:?}");
        check("", Meaning::Null);
        check("~", Meaning::Null);
        check("TRUE", Meaning::Bool(true));
        check("yes", Meaning::Text);
        check("0", Meaning::Unsigned(0));
        check("-0", Meaning::Unsigned(0));
        check("007", Meaning::Unsigned(7));
        check("+5", Meaning::Unsigned(5));
        check("-5", Meaning::Signed(-5));
        check("+-5", Meaning::Text);
        check("0x1F", Meaning::Unsigned(31));
        check("0x+1", Meaning::Text);
        check("0o17", Meaning::Unsigned(15));
        check("1_000", Meaning::Text);
        check("18446744073709551615", Meaning::Unsigned(u64::MAX));
        check("18446744073709551616", Meaning::Float(18_446_744_073_709_551_616.0));
        check("1.5", Meaning::Float(1.5));
        check("1.", Meaning::Float(1.0));
        check(".5", Meaning::Float(0.5));
        check("1e3", Meaning::Float(1000.0));
        check("1e", Meaning::Text);
        check(".", Meaning::Text);
        check("-", Meaning::Text);
        check("e5", Meaning::Text);
        check("inf", Meaning::Text);
        check("-.inf", Meaning::Float(f64::NEG_INFINITY));
        check("1.2.3", Meaning::Text);
        check("10s", Meaning::Text);
    }

    #[test]
    fn numbers_that_lose_text_are_odd() {
        assert!(["007", "+5", "0x1F", "0o7", "-007"].iter().all(|text| is_odd_number(text)));
        assert!(!["0", "-0", "7", "-7", "0.5", "10"].iter().any(|text| is_odd_number(text)));
    }
}
