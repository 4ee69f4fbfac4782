//! Names and values in scripts.

/// The longest name PostgreSQL keeps in full, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A quoted name. `None` for what is no name of an object.
pub(super) fn identifier(name: &str) -> Option<String> {
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    is_name.then(|| format!("\"{}\"", name.replace('"', "\"\"")))
}

/// `schema.name`, quoted. With a further dot it is not to be told where the schema ends.
pub(super) fn object(name: &str) -> Option<String> {
    let (schema, name) = name.split_once('.')?;
    if name.contains('.') {
        return None;
    }
    Some(format!("{}.{}", identifier(schema)?, identifier(name)?))
}

/// A quoted value. Backslashes are doubled in a form that is the same whatever `standard_conforming_strings` says.
pub(super) fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Whether it is the name of a setting, which is written without quotes.
pub(super) fn is_setting(name: &str) -> bool {
    name.split('.').all(is_plain) && name.matches('.').count() <= 1
}

/// A name that needs no quotes, but for the case of its letters.
pub(super) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}
