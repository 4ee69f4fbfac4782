//! Strings, numbers and attributes of JSON.

use dbintel_model::ValueRef;

/// A `KeyValue`.
pub(super) fn key_value(out: &mut Vec<u8>, key: &str, value: ValueRef<'_>) {
    out.extend_from_slice(b"{\"key\":");
    string(out, key);
    out.extend_from_slice(b",\"value\":{");
    match value {
        ValueRef::Text(text) => {
            out.extend_from_slice(b"\"stringValue\":");
            string(out, text);
        }
        ValueRef::Int(int) => {
            out.extend_from_slice(b"\"intValue\":");
            quoted_int(out, int);
        }
        ValueRef::Double(value) => {
            out.extend_from_slice(b"\"doubleValue\":");
            double(out, value);
        }
        ValueRef::Bool(true) => out.extend_from_slice(b"\"boolValue\":true"),
        ValueRef::Bool(false) => out.extend_from_slice(b"\"boolValue\":false"),
    }
    out.extend_from_slice(b"}}");
}

pub(super) fn quoted_int(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}

pub(super) fn quoted_uint(out: &mut Vec<u8>, value: u64) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}

pub(super) fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

/// A string; runs of bytes that need no escape are copied at once.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (run, from) = rest.split_at(at);
        out.extend_from_slice(run);
        let Some((byte, after)) = from.split_first() else {
            break;
        };
        escape(out, *byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short: &[u8] = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        _ => return unicode_escape(out, byte),
    };
    out.extend_from_slice(short);
}

fn unicode_escape(out: &mut Vec<u8>, byte: u8) {
    let digit = |nibble: u8| {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    };
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
}
