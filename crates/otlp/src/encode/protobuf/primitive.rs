//! Varints, lengths and strings of protobuf.

use dbintel_model::ValueRef;

/// Bytes kept free for the length of a group: lengths up to 2^28.
const GROUP_LENGTH_BYTES: usize = 4;
/// Bytes kept free for the length of a record: lengths up to 2^14 without moving it.
const RECORD_LENGTH_BYTES: usize = 2;

/// Tags inside `KeyValue` and `AnyValue`.
mod tag {
    pub(super) const KEY: u8 = 1 << 3 | 2;
    pub(super) const VALUE: u8 = 2 << 3 | 2;
    pub(super) const ANY_STRING: u8 = 1 << 3 | 2;
    pub(super) const ANY_BOOL: u8 = 2 << 3;
    pub(super) const ANY_INT: u8 = 3 << 3;
    pub(super) const ANY_DOUBLE: u8 = 4 << 3 | 1;
}

/// Bytes of `value` as a varint.
pub(super) const fn varint_len(value: usize) -> usize {
    varint_len64(value as u64)
}

const fn varint_len64(value: u64) -> usize {
    // Each byte carries seven bits; zero takes one byte.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

#[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
const fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

pub(super) fn fixed64(out: &mut Vec<u8>, tag: u8, bits: u64) {
    let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
    out.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
}

pub(super) fn string(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A `KeyValue` in the field `tag`.
pub(super) fn key_value(out: &mut Vec<u8>, tag: u8, key: &str, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => {
            key_and_length(out, tag, key, 1 + varint_len(text.len()) + text.len());
            string(out, tag::ANY_STRING, text);
        }
        ValueRef::Int(int) => {
            let int = int.cast_unsigned();
            key_and_length(out, tag, key, 1 + varint_len64(int));
            out.push(tag::ANY_INT);
            varint(out, int);
        }
        ValueRef::Double(double) => {
            key_and_length(out, tag, key, 9);
            fixed64(out, tag::ANY_DOUBLE, double.to_bits());
        }
        ValueRef::Bool(bool) => {
            key_and_length(out, tag, key, 2);
            out.extend_from_slice(&[tag::ANY_BOOL, u8::from(bool)]);
        }
    }
}

/// All of a `KeyValue` before the content of its `AnyValue`, which is `any` bytes long.
fn key_and_length(out: &mut Vec<u8>, tag: u8, key: &str, any: usize) {
    let length = 2 + varint_len(key.len()) + key.len() + varint_len(any) + any;
    out.reserve(length + 6);
    out.push(tag);
    varint(out, length as u64);
    string(out, tag::KEY, key);
    out.push(tag::VALUE);
    varint(out, any as u64);
}

/// Starts a message of unknown length, large as a rule. Returns where it begins.
pub(super) fn open_group(out: &mut Vec<u8>, tag: u8) -> usize {
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    out.len()
}

/// Writes the length of a group that began at `start`. May be repeated when the group was cut or has grown.
pub(super) fn close_group(out: &mut [u8], start: usize) {
    let length = out.len().saturating_sub(start) as u64;
    debug_assert!(length < 1 << 28, "a group is bounded by the largest request");
    let padded: [u8; GROUP_LENGTH_BYTES] = [
        low_byte(length) | 0x80,
        low_byte(length >> 7) | 0x80,
        low_byte(length >> 14) | 0x80,
        low_byte(length >> 21),
    ];
    write_at(out, start.saturating_sub(GROUP_LENGTH_BYTES), &padded);
}

/// Starts a message of unknown length, below 16 KiB as a rule. Returns where it begins.
pub(super) fn open_record(out: &mut Vec<u8>, tag: u8) -> usize {
    out.extend_from_slice(&[tag, 0, 0]);
    out.len()
}

/// Writes the length of a record that began at `start`.
pub(super) fn close_record(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start);
    if length < 1 << 14 {
        let length = length as u64;
        let padded = [low_byte(length) | 0x80, low_byte(length >> 7)];
        write_at(out, start.saturating_sub(RECORD_LENGTH_BYTES), &padded);
    } else {
        widen_record(out, start);
    }
}

/// Moves a record by two bytes, to make room for a length of four.
fn widen_record(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    out.extend_from_slice(&[0; GROUP_LENGTH_BYTES - RECORD_LENGTH_BYTES]);
    let moved = start + GROUP_LENGTH_BYTES - RECORD_LENGTH_BYTES;
    out.copy_within(start..end, moved);
    close_group(out, moved);
}

fn write_at(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
