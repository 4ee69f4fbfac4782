//! The form of a plan's bytes: the same for two plans of PostgreSQL that differ in numbers only. It is what changes with
//! every probe of a table that grows, and no part of a fingerprint, so that a plan of the same form need not be read.

use xxhash_rust::xxh3::Xxh3;

/// The one member whose number counts in a fingerprint: whether partitions were left out.
const COUNTED: &[u8] = b"\"Subplans Removed\"";

/// The hash of the bytes with every number replaced, but those in texts and that of `Subplans Removed`. Equal forms of
/// whole plans mean equal fingerprints.
#[must_use]
pub fn form(bytes: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    let mut taken = 0;
    numbers(bytes, |start, end| {
        hash.update(bytes.get(taken..start).unwrap_or_default());
        hash.update(b"0");
        taken = end;
    });
    hash.update(bytes.get(taken..).unwrap_or_default());
    hash.digest128()
}

/// The planner's cost of the whole plan, without reading the rest.
#[must_use]
pub fn root_cost(bytes: &[u8]) -> Option<f64> {
    const COST: &[u8] = b"\"Total Cost\":";
    // In a text the second quote would have a backslash before it. The root is written before what is below it.
    let after = bytes.windows(COST.len()).position(|window| window == COST)? + COST.len();
    let rest = bytes.get(after..)?;
    let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let rest = rest.get(start..)?;
    std::str::from_utf8(rest.get(..number_length(rest)?)?).ok()?.parse().ok()
}

/// Calls `visit` with the place of each number that is no part of a fingerprint.
pub(crate) fn numbers(bytes: &[u8], mut visit: impl FnMut(usize, usize)) {
    let (mut at, mut last_text): (usize, &[u8]) = (0, &[]);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = match rest {
            [b'"', ..] => {
                let length = text_length(rest);
                last_text = rest.get(..length).unwrap_or_default();
                length
            }
            [b'-' | b'0'..=b'9', ..] => {
                let counts = last_text == COUNTED;
                match number_length(rest).filter(|_| !counts) {
                    Some(length) => {
                        visit(at, at + length);
                        length
                    }
                    None => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
                }
            }
            _ => rest.iter().take_while(|byte| **byte != b'"' && !is_of_number(**byte)).count().max(1),
        };
        at += length;
    }
}

/// Bytes of a text that begins here, its quotes included.
fn text_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 2)
}

/// Bytes of the number that begins here, if it is one as JSON has them and nothing of a number follows.
fn number_length(rest: &[u8]) -> Option<usize> {
    let digits = |from: usize| rest.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let at = |place: usize| rest.get(place).copied();
    let sign = usize::from(at(0) == Some(b'-'));
    let whole = digits(sign);
    // A number of several digits does not begin with a zero.
    if whole == 0 || whole > 1 && at(sign) == Some(b'0') {
        return None;
    }
    let mut length = sign + whole;
    if at(length) == Some(b'.') {
        let fraction = digits(length + 1);
        length = (fraction > 0).then_some(length + 1 + fraction)?;
    }
    if matches!(at(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(at(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        length = (exponent > 0).then_some(length + 1 + sign + exponent)?;
    }
    at(length).is_none_or(|byte| !is_of_number(byte)).then_some(length)
}

const fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_no_part_of_it_and_texts_are() {
        let plan = |cost: &str, condition: &str, removed: &str| {
            format!(
                r#"[{{"Plan": {{"Node Type": "Append", "Total Cost": {cost}, "Plan Rows": 1e3, "Filter": "(a = {condition})",
                "Parallel Aware": false, "Subplans Removed": {removed}, "Actual Rows": 0.50}}}}]"#
            )
        };
        let of = |cost, condition, removed| form(plan(cost, condition, removed).as_bytes());
        assert_eq!(of("8.30", "1", "0"), of("1234567.89", "1", "0"));
        assert_eq!(of("8.30", "1", "0"), of("-0", "1", "0"));
        assert_ne!(of("8.30", "1", "0"), of("8.30", "2", "0"));
        assert_ne!(of("8.30", "1", "0"), of("8.30", "1", "3"));
        // What is no number is not taken for one.
        for odd in ["8.", "08", "1-2", "--1", "1e", ".5", "\"8\"", "null"] {
            assert_ne!(of("8.30", "1", "0"), of(odd, "1", "0"), "{odd}");
        }
    }

    #[test]
    fn the_cost_is_that_of_the_root() {
        let plan = r#"{"Query Text": "select '\"Total Cost\": 1'", "Plan": {"Node Type": "Limit", "Startup Cost": 2,
            "Total Cost": 3.75, "Plans": [{"Total Cost": 9}]}}"#;
        assert_eq!(root_cost(plan.as_bytes()), Some(3.75));
        assert_eq!(root_cost(b"{\"Total Cost\": }"), None);
        assert_eq!(root_cost(b""), None);
    }
}
