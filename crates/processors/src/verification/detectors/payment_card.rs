//! Numbers of payment cards.
//!
//! One in ten numbers passes Luhn's check, so more is asked for: the prefix and length of an issuer, and either the
//! groups in which cards are printed, or a word such as `card` shortly before.

use std::ops::Range;

use super::chars::is_word;
use super::{Detector, Look};

/// Digits of a card number.
const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// How far before undivided digits a word is looked for.
const CONTEXT_BYTES: usize = 32;
/// Groups in which card numbers are printed.
const GROUPINGS: [&[usize]; 5] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 3, 3, 3], &[4, 4, 4, 4, 3]];
/// Words that make undivided digits a card number.
const CONTEXT: [&[u8]; 7] = [b"card", b"visa", b"amex", b"diners", b"maestro", b"pan=", b"pan:"];

/// Looks at the run of digits, in groups or not, that begins at `at`.
pub(super) fn look(text: &[u8], at: usize) -> Look {
    let mut run = Run::default();
    let mut end = at;
    while let Some(&byte) = text.get(end) {
        let next = text.get(end + 1).copied();
        match byte {
            b'0'..=b'9' => run.digit(byte - b'0'),
            b' ' | b'-' if next.is_some_and(|next| next.is_ascii_digit()) => run.separator(byte),
            _ => break,
        }
        end += 1;
    }
    if run.is_card() && stands_alone(text, at..end, &run) {
        return Look::Found(Detector::PaymentCard, at..end);
    }
    Look::Past(end)
}

/// Whether the digits are a word of their own, and printed as a card number or named as one.
fn stands_alone(text: &[u8], span: Range<usize>, run: &Run) -> bool {
    let before = span.start.checked_sub(1).and_then(|before| text.get(before)).copied();
    let after = (text.get(span.end).copied(), text.get(span.end + 1).copied());
    let joined_after = match after {
        (Some(b'.' | b'/' | b':'), Some(next)) => next.is_ascii_alphanumeric(),
        (Some(b'-'), _) => true,
        (Some(byte), _) => is_word(byte) || !byte.is_ascii(),
        (None, _) => false,
    };
    let named = !run.is_grouped() && has_context(text, span.start);
    let joined_before = match before {
        // `card:4111…` is a context.
        Some(b':') => !named,
        Some(byte) => is_word(byte) || matches!(byte, b'.' | b'-' | b'+' | b'/' | b'#') || !byte.is_ascii(),
        None => false,
    };
    !joined_before && !joined_after && (named || run.is_printed())
}

/// Digits as they are read, no more of them than a card has.
#[derive(Default)]
struct Run {
    digits: [u8; DIGITS_MAX],
    length: usize,
    groups: [usize; 5],
    separators: usize,
    separator: Option<u8>,
    mixed: bool,
}

impl Run {
    fn digit(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.length) {
            *place = digit;
        }
        self.length += 1;
        if let Some(group) = self.groups.get_mut(self.separators) {
            *group += 1;
        }
    }

    fn separator(&mut self, separator: u8) {
        self.separators += 1;
        self.mixed |= self.separator.is_some_and(|held| held != separator);
        self.separator = Some(separator);
    }

    const fn is_grouped(&self) -> bool {
        self.separators > 0
    }

    fn is_printed(&self) -> bool {
        let groups = self.groups.get(..=self.separators).unwrap_or_default();
        self.is_grouped() && !self.mixed && GROUPINGS.contains(&groups)
    }

    fn is_card(&self) -> bool {
        (DIGITS_MIN..=DIGITS_MAX).contains(&self.length) && self.has_issuer() && self.passes_luhn()
    }

    fn has_issuer(&self) -> bool {
        let prefix = |digits: usize| {
            self.digits.iter().take(digits).fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
        };
        match (prefix(4), self.length) {
            // Visa.
            (4000..=4999, 13 | 16 | 19) => true,
            // Mastercard.
            (5100..=5599 | 2221..=2720, 16) => true,
            // American Express.
            (3400..=3499 | 3700..=3799, 15) => true,
            // Diners Club.
            (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14..=19) => true,
            // JCB, Discover, UnionPay.
            (3528..=3589 | 6011 | 6440..=6599 | 6200..=6299, 16..=19) => true,
            // Maestro.
            (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19) => true,
            _ => false,
        }
    }

    fn passes_luhn(&self) -> bool {
        let digits = self.digits.get(..self.length).unwrap_or_default();
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
                (0, digit) => digit,
                (_, digit @ 0..=4) => digit * 2,
                (_, digit) => digit * 2 - 9,
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

fn has_context(text: &[u8], at: usize) -> bool {
    let before = text.get(at.saturating_sub(CONTEXT_BYTES)..at).unwrap_or_default();
    CONTEXT.iter().any(|word| before.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}
