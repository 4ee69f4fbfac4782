//! serde's words in the words of an operator.

use serde::de::{Expected, Unexpected};

use super::error::Found;
use crate::limits::QUOTED_CHARS_MAX;

/// What was found, quoted and shortened. In the place of a map or list, text is not quoted: it may have
/// anything in it.
pub(super) fn found(found: Unexpected<'_>, expected: &str) -> Found {
    let shows = |text: String| Found { text, quotes: true };
    let is = |text: &str| Found { text: text.to_owned(), quotes: false };
    match found {
        Unexpected::Bool(value) => shows(format!("`{value}`")),
        Unexpected::Unsigned(number) => shows(format!("the number {number}")),
        Unexpected::Signed(number) => shows(format!("the number {number}")),
        Unexpected::Float(number) => shows(format!("the number {number}")),
        Unexpected::Char(c) => shows(format!("the text {c:?}")),
        Unexpected::Str(_) if expected.starts_with("a map") || expected.starts_with("a list") => is("text"),
        Unexpected::Str(text) => shows(format!("the text {:?}", shortened(text))),
        Unexpected::Unit | Unexpected::Option => is("nothing"),
        Unexpected::Seq => is("the list [...]"),
        Unexpected::Map => is("the map {...}"),
        Unexpected::Bytes(_) | Unexpected::Other(_) => is("something else"),
        Unexpected::NewtypeStruct | Unexpected::Enum | Unexpected::NewtypeVariant => is("a map with one key"),
        Unexpected::UnitVariant => is("a name without settings"),
        Unexpected::TupleVariant | Unexpected::StructVariant => is("a name with settings"),
    }
}

/// What belongs there. The types of `values` say it well; the names that serde gives to Rust types are
/// translated.
pub(super) fn expected(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    let plain = match words.as_str() {
        "a string" | "str" | "string" | "a borrowed string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        "path string" => "a path",
        "newtype variant" | "struct variant" | "tuple variant" => "a map with this name and its settings",
        "unit variant" => "the name alone",
        "u64" | "u128" | "usize" => "a whole number, 0 or more",
        "i64" | "i128" | "isize" => "a whole number",
        "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "a nonzero u8" => "a whole number from 1 to 255",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "i8" => "a whole number from -128 to 127",
        "i16" => "a whole number from -32768 to 32767",
        "i32" => "a whole number from -2147483648 to 2147483647",
        _ => return by_prefix(&words),
    };
    plain.to_owned()
}

fn by_prefix(words: &str) -> String {
    let is_list = ["tuple struct ", "a tuple of size ", "tuple variant ", "an array of length "];
    let is_map = ["struct ", "struct variant ", "internally tagged enum ", "adjacently tagged enum "];
    if is_list.iter().any(|prefix| words.starts_with(prefix)) {
        return "a list".to_owned();
    }
    if is_map.iter().any(|prefix| words.starts_with(prefix)) {
        return "a map of settings".to_owned();
    }
    if words.starts_with("enum ") || words == "variant identifier" {
        return "a name".to_owned();
    }
    words.to_owned()
}

/// The key in the message by which serde reports an unknown key of a flattened struct.
pub(super) fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.strip_suffix('`')
}

/// The first characters of a long text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
