//! Attributes of a record, to be written out or only to be measured.
//!
//! What an event weighs is asked of every record that leaves. Writing out its times, identifiers and fingerprints for
//! that took longer than everything else that is done to it, so their sizes are known without their digits.

use crate::{Timestamp, ValueRef};

/// Takes the attributes of a record one by one.
pub(crate) trait Visitor {
    /// One whose value is there.
    fn value(&mut self, key: &str, value: ValueRef<'_>);

    /// A whole number that leaves as text.
    fn decimal(&mut self, key: &str, number: i64);

    /// A time.
    fn time(&mut self, key: &str, time: Timestamp);

    /// A hash of 64 bits.
    fn hash64(&mut self, key: &str, hash: u64);

    /// A hash of 128 bits.
    fn hash128(&mut self, key: &str, hash: u128);
}

/// How large the attributes of a record are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeSizes {
    /// How many there are.
    pub attributes: usize,
    /// Bytes of their names and values: texts as they are, numbers 8, truth values 1.
    pub bytes: usize,
}

/// Writes out what is no value yet.
pub(crate) struct Rendering<'a>(pub(crate) &'a mut dyn FnMut(&str, ValueRef<'_>));

impl Visitor for Rendering<'_> {
    fn value(&mut self, key: &str, value: ValueRef<'_>) {
        (self.0)(key, value);
    }

    fn decimal(&mut self, key: &str, number: i64) {
        (self.0)(key, ValueRef::Text(itoa::Buffer::new().format(number)));
    }

    fn time(&mut self, key: &str, time: Timestamp) {
        (self.0)(key, ValueRef::Text(time.to_rfc3339().as_str()));
    }

    fn hash64(&mut self, key: &str, hash: u64) {
        (self.0)(key, ValueRef::Text(hexadecimal(hash.to_be_bytes(), &mut [0; 16])));
    }

    fn hash128(&mut self, key: &str, hash: u128) {
        (self.0)(key, ValueRef::Text(hexadecimal(hash.to_be_bytes(), &mut [0; 32])));
    }
}

impl AttributeSizes {
    fn add(&mut self, key: &str, bytes: usize) {
        self.attributes += 1;
        self.bytes += key.len() + bytes;
    }
}

impl Visitor for AttributeSizes {
    fn value(&mut self, key: &str, value: ValueRef<'_>) {
        let bytes = match value {
            ValueRef::Text(text) => text.len(),
            ValueRef::Int(_) | ValueRef::Double(_) => 8,
            ValueRef::Bool(_) => 1,
        };
        self.add(key, bytes);
    }

    fn decimal(&mut self, key: &str, number: i64) {
        let digits = number.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
        self.add(key, digits + usize::from(number < 0));
    }

    fn time(&mut self, key: &str, _time: Timestamp) {
        self.add(key, crate::Rfc3339::BYTES);
    }

    fn hash64(&mut self, key: &str, _hash: u64) {
        self.add(key, 16);
    }

    fn hash128(&mut self, key: &str, _hash: u128) {
        self.add(key, 32);
    }
}

/// Lower-case hexadecimal digits, two for each byte, without allocating.
pub(crate) fn hexadecimal<const BYTES: usize>(bytes: [u8; BYTES], digits: &mut [u8]) -> &str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_all_their_digits() {
        for value in [0, 1, 0xff, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(hexadecimal(value.to_be_bytes(), &mut [0; 16]), format!("{value:016x}"));
        }
        for value in [0, 0xff, 0x0123_4567_89ab_cdef_0011_2233_4455_6677, u128::MAX] {
            assert_eq!(hexadecimal(value.to_be_bytes(), &mut [0; 32]), format!("{value:032x}"));
        }
    }

    #[test]
    fn what_is_measured_is_what_is_written_out() {
        let visit = |visitor: &mut dyn Visitor| {
            for number in [0, 1, 9, 10, 99, 100, -1, -9, -10, i64::MAX, i64::MIN] {
                visitor.decimal("decimal", number);
            }
            for time in [0, 1, 1_763_739_805_000_001_000, u64::MAX] {
                visitor.time("time", Timestamp::from_nanos(time));
            }
            visitor.hash64("short", 7);
            visitor.hash128("long", 7);
            for value in
                [ValueRef::Text("täxt"), ValueRef::Int(1), ValueRef::Double(0.5), ValueRef::Bool(true)]
            {
                visitor.value("value", value);
            }
        };
        let (mut measured, mut written) = (AttributeSizes::default(), AttributeSizes::default());
        visit(&mut measured);
        visit(&mut Rendering(&mut |key, value| written.value(key, value)));
        assert_eq!(measured, written);
    }
}
