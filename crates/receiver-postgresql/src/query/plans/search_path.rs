//! The search path of a role, as the names of schemas.

use super::vet::cut_off;

/// The schemas of a search path as the server splits it, which is not as SQL: a name without quotes goes to the next blank or comma,
/// whatever is in it. Of a path that the server would refuse, those up to what is wrong.
pub(super) fn schemas_of(path: &str) -> Vec<String> {
    let mut schemas = Vec::new();
    let mut rest = path.trim_start();
    while !rest.is_empty() {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let inside = quoted.replace("\"\"", "  ");
            let Some(end) = inside.find('"') else { break };
            let (within, after) = quoted.split_at(end);
            name = within.replace("\"\"", "\"");
            rest = after.strip_prefix('"').unwrap_or_default();
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(rest.len());
            name = rest.get(..end).unwrap_or_default().to_ascii_lowercase();
            rest = rest.get(end..).unwrap_or_default();
        }
        schemas.push(cut_off(&name));
        match rest.trim_start().strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    schemas.retain(|schema| !schema.is_empty());
    schemas
}
