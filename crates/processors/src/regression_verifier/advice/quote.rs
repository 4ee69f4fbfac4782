//! Names and values in scripts.

/// The longest name PostgreSQL keeps in full, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// Settings that are lists of names, each of which is quoted by itself: quoted as a whole they would be one name.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

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

/// The value of a setting as it was told, for a script. `None` for one that was cut or redacted, and for a list that cannot be taken apart with
/// certainty.
pub(super) fn value(setting: &str, told: &str) -> Option<String> {
    if told.contains('…') || told.starts_with('[') {
        return None;
    }
    if LISTS.contains(&setting) {
        return told
            .split(',')
            .map(|name| listed(name.trim()).map(literal))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.join(", "));
    }
    // What the server counts in blocks is told as `16384 8kB`, and no such unit is read. A number without one is in blocks.
    let number = told.split_once(' ').filter(|(_, unit)| unit.starts_with(|c: char| c.is_ascii_digit()));
    Some(literal(number.filter(|(_, unit)| unit.ends_with("kB")).map_or(told, |(number, _)| number)))
}

/// A name of a list, as the server quotes it where it has to.
fn listed(name: &str) -> Option<&str> {
    match name.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|inner| !inner.contains('"')),
        None => (is_plain(name) && !name.contains(|c: char| c.is_ascii_uppercase())).then_some(name),
    }
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
