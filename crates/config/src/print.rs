//! A tree as YAML.
//!
//! Written here and not by a library, because a scalar must come out as it was written (`1.10`, `007`,
//! `0x1F`): a serializer of numbers would change the text that a string setting reads. The output reads back
//! as the same tree; the tests prove it on generated trees.

use std::fmt::Write as _;

use crate::node::{Map, Node, Scalar, Value};
use crate::scalar::{Meaning, meaning, plain_meaning};

#[cfg(test)]
mod tests;

/// The node as block YAML, with everything in it: redact it first (see `redact`).
pub(crate) fn to_yaml(node: &Node) -> String {
    let mut out = String::new();
    match node.value() {
        Value::Null => out.push_str("null\n"),
        Value::Scalar(scalar) => {
            push_scalar(&mut out, scalar);
            out.push('\n');
        }
        Value::Seq(items) if items.is_empty() => out.push_str("[]\n"),
        Value::Map(map) if map.is_empty() => out.push_str("{}\n"),
        Value::Seq(items) => push_items(&mut out, items, 0),
        Value::Map(map) => push_entries(&mut out, map, 0, false),
    }
    out
}

/// The entries on their own lines; the first one continues the line when `continues`.
fn push_entries(out: &mut String, map: &Map, indent: usize, continues: bool) {
    for (index, entry) in map.iter().enumerate() {
        if index > 0 || !continues {
            push_indent(out, indent);
        }
        push_key(out, &entry.key);
        out.push(':');
        match entry.value.value() {
            Value::Null => out.push('\n'),
            Value::Map(map) if !map.is_empty() => {
                out.push('\n');
                push_entries(out, map, indent + 1, false);
            }
            Value::Seq(items) if !items.is_empty() => {
                out.push('\n');
                push_items(out, items, indent + 1);
            }
            _ => push_short(out, &entry.value),
        }
    }
}

fn push_items(out: &mut String, items: &[Node], indent: usize) {
    for item in items {
        push_indent(out, indent);
        out.push('-');
        match item.value() {
            Value::Null => out.push_str(" null\n"),
            Value::Map(map) if !map.is_empty() => {
                out.push(' ');
                push_entries(out, map, indent + 1, true);
            }
            Value::Seq(items) if !items.is_empty() => {
                out.push('\n');
                push_items(out, items, indent + 1);
            }
            _ => push_short(out, item),
        }
    }
}

/// A scalar or something empty, to the end of the line.
fn push_short(out: &mut String, node: &Node) {
    out.push(' ');
    match node.value() {
        Value::Null => {}
        Value::Scalar(scalar) => push_scalar(out, scalar),
        Value::Seq(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn push_indent(out: &mut String, indent: usize) {
    (0..indent).for_each(|_| out.push_str("  "));
}

fn push_key(out: &mut String, key: &str) {
    if is_plain(key) {
        out.push_str(key);
    } else {
        push_quoted(out, key);
    }
}

fn push_scalar(out: &mut String, scalar: &Scalar) {
    let is_number = !matches!(meaning(scalar), Meaning::Text | Meaning::Null);
    if is_number || is_plain(scalar.text()) {
        out.push_str(scalar.text());
    } else {
        push_quoted(out, scalar.text());
    }
}

/// Whether unquoted text reads back as the same text, in every place and by every YAML reader.
fn is_plain(text: &str) -> bool {
    /// Text in readers of YAML 1.1, where these are booleans.
    const OLD_BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_'));
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+".contains(c);
    starts_well
        && text.chars().all(is_safe)
        && !text.ends_with(':')
        && plain_meaning(text) == Meaning::Text
        && !OLD_BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => push_escape(out, c),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    let written = if code > 0xffff { write!(out, "\\U{code:08x}") } else { write!(out, "\\u{code:04x}") };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Line breaks, byte order marks and direction marks that are no control characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}')
}
