//! International bank account numbers.

use super::chars::is_word;
use super::{Detector, Look};

/// Characters of an IBAN, at most.
const LENGTH_MAX: usize = 34;
/// Countries of the registry and the length of their numbers (release 99, without the territories of France).
#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], usize); 80] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27),
    (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20),
    (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20), (b"MR", 27),
    (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24), (b"PL", 28),
    (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24), (b"SC", 31),
    (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"ST", 25), (b"TR", 26), (b"UA", 29),
];

/// Looks at the word that begins at `at`: a country, two check digits, and the rest, undivided or in groups of four.
pub(super) fn look(text: &[u8], at: usize) -> Look {
    let head = text.get(at..at + 4).unwrap_or_default();
    let (Some(country), Some(check)) = (head.get(..2), head.get(2..)) else { return Look::Past(at + 1) };
    if !check.iter().all(u8::is_ascii_digit) {
        return Look::Past(at + 1);
    }
    let known = LENGTHS.iter().find(|(name, _)| name.as_slice() == country);
    let Some(end) = known.and_then(|(_, length)| end_of(text, at, *length)) else {
        return Look::Past(at + 1);
    };
    if remainder(text.get(at..end).unwrap_or_default()) == Some(1) {
        return Look::Found(Detector::Iban, at..end);
    }
    Look::Past(at + 1)
}

/// Where `length` characters end, if they are all there and nothing continues them.
fn end_of(text: &[u8], at: usize, length: usize) -> Option<usize> {
    debug_assert!(length <= LENGTH_MAX);
    let spaced = text.get(at + 4) == Some(&b' ');
    let (mut end, mut read) = (at, 0);
    while read < length {
        let byte = text.get(end)?;
        if spaced
            && read > 0
            && read % 4 == 0
            && *byte == b' '
            && text.get(end.checked_sub(1)?) != Some(&b' ')
        {
            end += 1;
            continue;
        }
        if !byte.is_ascii_uppercase() && !byte.is_ascii_digit() {
            return None;
        }
        (end, read) = (end + 1, read + 1);
    }
    let continued = text.get(end).is_some_and(|byte| is_word(*byte));
    (!continued).then_some(end)
}

/// ISO 7064 mod 97-10 of a number whose first four characters go to its end; letters count from 10.
fn remainder(number: &[u8]) -> Option<u32> {
    let (head, tail) = number.split_at_checked(4)?;
    tail.iter().chain(head).filter(|byte| **byte != b' ').try_fold(0_u32, |remainder, byte| {
        let value = char::from(*byte).to_digit(36)?;
        let shift = if value > 9 { 100 } else { 10 };
        Some((remainder * shift + value) % 97)
    })
}
