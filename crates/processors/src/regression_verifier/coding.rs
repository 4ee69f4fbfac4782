//! Numbers in few bits: sixteen on a logarithmic scale, or the first 24 of a float.
//!
//! A code is off by at most half a step, as a share of the number: [`SUM_ERROR`] and [`VARIATION_ERROR`]. That is a hundredth of
//! the smallest effect a verdict is about. Counts that are compared with a limit are kept in 24 bits, in which no whole number up
//! to 65,536 is off at all.

/// Codes that stand for a number; 0 and the first above it have a meaning of their own.
const CODES: f64 = 65_533.0;
/// A sum of whole things is 0 or at least this, and a time in milliseconds below it is as good as none.
const SUM_MIN: f64 = 1e-3;
/// The largest sum.
const SUM_MAX: f64 = 1e18;
/// The smallest coefficient of variation that is told from none.
const VARIATION_MIN: f64 = 1e-5;
/// The largest one: a single execution of all in an hour that takes the whole time of ten billion.
const VARIATION_MAX: f64 = 1e5;

/// By how much a coded sum is off at most, as a share of it.
pub const SUM_ERROR: f64 = 3.8e-4;
/// By how much a coded coefficient of variation is off at most, as a share of it.
pub const VARIATION_ERROR: f64 = 1.8e-4;

/// Codes a sum. What is no sum counts as none.
pub(super) fn sum(value: f64) -> u16 {
    if value.is_nan() || value <= SUM_MIN / 2.0 {
        return 0;
    }
    1 + place(value, SUM_MIN, SUM_MAX)
}

/// The sum of a code.
pub(super) fn sum_of(code: u16) -> f64 {
    match code {
        0 => 0.0,
        code => value(code - 1, SUM_MIN, SUM_MAX),
    }
}

/// Codes a coefficient of variation: 0 is not known, 1 is none at all.
pub(super) fn variation(value: Option<f64>) -> u16 {
    match value {
        None => 0,
        Some(value) if value.is_nan() => 0,
        Some(value) if value <= VARIATION_MIN / 2.0 => 1,
        Some(value) => 2 + place(value, VARIATION_MIN, VARIATION_MAX),
    }
}

/// The coefficient of variation of a code.
pub(super) fn variation_of(code: u16) -> Option<f64> {
    match code {
        0 => None,
        1 => Some(0.0),
        code => Some(value(code - 2, VARIATION_MIN, VARIATION_MAX)),
    }
}

/// The first 24 bits of the nearest float of 32 that has no others: off by at most 2⁻¹⁷ of the number, and not at all if that
/// is whole and not above 65,536. What is no count is 0.
pub(super) fn float_24(value: f64) -> [u8; 3] {
    let value = if value > 0.0 { value.min(SUM_MAX) as f32 } else { 0.0 };
    // Half of what is cut off, so that it is rounded.
    let [_, low, middle, high] = value.to_bits().saturating_add(0x80).to_le_bytes();
    [low, middle, high]
}

/// The number of those bits.
pub(super) fn float_of([low, middle, high]: [u8; 3]) -> f64 {
    f32::from_le_bytes([0, low, middle, high]).into()
}

fn step(least: f64, most: f64) -> f64 {
    (most / least).ln() / CODES
}

fn place(value: f64, least: f64, most: f64) -> u16 {
    let value = value.clamp(least, most);
    ((value / least).ln() / step(least, most)).round() as u16
}

fn value(place: u16, least: f64, most: f64) -> f64 {
    least * (f64::from(place) * step(least, most)).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every code once, and the middle between it and the next one, where the error is largest.
    #[test]
    fn no_code_is_further_off_than_promised() {
        for code in 2..u16::MAX {
            let low = sum_of(code);
            let middle = (low * sum_of(code + 1)).sqrt();
            assert_eq!(sum(low), code);
            assert!((sum_of(sum(middle)) / middle - 1.0).abs() <= SUM_ERROR, "{code}");
        }
        for code in 2..u16::MAX - 1 {
            let low = variation_of(code).unwrap();
            let middle = (low * variation_of(code + 1).unwrap()).sqrt();
            assert_eq!(variation(Some(low)), code);
            let off = variation_of(variation(Some(middle))).unwrap() / middle - 1.0;
            assert!(off.abs() <= VARIATION_ERROR && off.abs() <= 1e-3, "{code}");
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!((sum(0.0), sum(-1.0), sum(f64::NAN)), (0, 0, 0));
        assert_eq!(sum_of(0), 0.0);
        assert_eq!((variation(None), variation(Some(f64::NAN)), variation(Some(0.0))), (0, 0, 1));
        assert_eq!((variation_of(0), variation_of(1)), (None, Some(0.0)));
    }

    #[test]
    fn counts_are_counted() {
        for count in 0..=65_536_u32 {
            assert_eq!(float_of(float_24(count.into())), f64::from(count));
        }
        assert_eq!([f64::NAN, -1.0, f64::NEG_INFINITY].map(float_24), [[0; 3]; 3]);
        assert!((float_of(float_24(f64::INFINITY)) / SUM_MAX - 1.0).abs() < 1e-5);
    }

    proptest! {
        #[test]
        fn a_count_is_hardly_off(value in 1.0..SUM_MAX) {
            prop_assert!((float_of(float_24(value)) / value - 1.0).abs() <= 2.0_f64.powi(-16));
            prop_assert_eq!(float_24(float_of(float_24(value))), float_24(value));
        }

        #[test]
        fn any_number_has_a_code(value in any::<f64>()) {
            let back = sum_of(sum(value));
            prop_assert!(back.is_finite() && back >= 0.0);
            if (SUM_MIN..=SUM_MAX).contains(&value) {
                prop_assert!((back / value - 1.0).abs() <= SUM_ERROR);
            }
            if (VARIATION_MIN..=VARIATION_MAX).contains(&value) {
                let back = variation_of(variation(Some(value))).unwrap();
                prop_assert!((back / value - 1.0).abs() <= VARIATION_ERROR);
            }
        }
    }
}
