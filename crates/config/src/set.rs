//! `--set path=value`.
//!
//! The path is keys joined by `.`, or by `::` when a key has a dot in it
//! (`exporters::otlphttp/eu.west::endpoint=…`). The value is YAML. Lists are replaced whole.

use std::path::Path;
use std::sync::Arc;

use crate::error::{ConfigError, ConfigErrors, Problem};
use crate::limits::NESTING_DEPTH_MAX;
use crate::merge::merge;
use crate::node::{Entry, Map, Node, Value};
use crate::parse;
use crate::position::Position;

/// The configuration with one `--set` applied.
///
/// # Errors
/// When the argument has no `=` or an empty key, the value is not YAML, or the path leads through
/// something that is not a map.
pub(crate) fn apply(root: Node, argument: &str) -> Result<Node, ConfigErrors> {
    let (path, value) = argument.split_once('=').unwrap_or((argument, ""));
    let source: Arc<Path> = Path::new(&format!("--set {path}=…")).into();
    let fail = |message: String| {
        ConfigErrors::from(ConfigError::new(
            Some(Position::whole(Arc::clone(&source))),
            "",
            Problem::Set(message),
        ))
    };
    if !argument.contains('=') {
        return Err(fail(
            "write --set path=value, such as --set service.telemetry.logs.level=debug".to_owned(),
        ));
    }
    let keys: Vec<&str> =
        if path.contains("::") { path.split("::").collect() } else { path.split('.').collect() };
    if keys.iter().any(|key| key.is_empty()) {
        return Err(fail("a key of the path is empty".to_owned()));
    }
    check_maps(&root, &keys).map_err(fail)?;
    let value = parse::parse(&source, value).map_err(|errors| at_source(errors, &source))?;
    let value = at_position(value, &source);
    if keys.len() + value.size().1 > NESTING_DEPTH_MAX {
        return Err(fail(format!("more than {NESTING_DEPTH_MAX} levels of lists and maps")));
    }
    Ok(merge(root, wrapped(&keys, value, &source)))
}

/// Every key but the last must lead to a map, or to nothing.
fn check_maps(root: &Node, keys: &[&str]) -> Result<(), String> {
    let mut node = root;
    for (index, key) in keys.iter().enumerate() {
        match (node.value(), node.get(key)) {
            (Value::Null, _) | (Value::Map(_), None) => return Ok(()),
            (Value::Map(_), Some(below)) => node = below,
            (Value::Scalar(_) | Value::Seq(_), _) => {
                let path = keys.get(..index).unwrap_or(keys).join(".");
                let kind = node.kind();
                return Err(format!("`{path}` is {kind}, not a map; set the whole of it: --set {path}=[…]"));
            }
        }
    }
    Ok(())
}

/// `{a: {b: value}}`
fn wrapped(keys: &[&str], value: Node, source: &Arc<Path>) -> Node {
    keys.iter().rev().fold(value, |value, key| {
        let position = Position::whole(Arc::clone(source));
        let entry = Entry { key: (*key).into(), key_position: position.clone(), value };
        Node::new(Value::Map(Map::from_iter([entry])), position)
    })
}

/// Line and column within an argument help nobody, neither in errors …
fn at_source(errors: ConfigErrors, source: &Arc<Path>) -> ConfigErrors {
    let moved = |error: ConfigError| {
        ConfigError::new(Some(Position::whole(Arc::clone(source))), "", error.problem().clone())
    };
    ConfigErrors(errors.0.into_iter().map(moved).collect())
}

/// … nor in values.
fn at_position(node: Node, source: &Arc<Path>) -> Node {
    let position = Position::whole(Arc::clone(source));
    let value = match node.into_value() {
        Value::Seq(items) => Value::Seq(items.into_iter().map(|item| at_position(item, source)).collect()),
        Value::Map(map) => {
            let entry = |Entry { key, value, .. }| Entry {
                key,
                key_position: position.clone(),
                value: at_position(value, source),
            };
            Value::Map(map.into_entries().into_iter().map(entry).collect())
        }
        other => other,
    };
    Node::new(value, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::to_yaml;

    fn root() -> Node {
        let text = "exporters:\n  otlp/a.b: {endpoint: x, headers: {k: v}}\nrules: [1, 2]\nempty:\n";
        parse::parse(&Arc::from(Path::new("t.yaml")), text).unwrap()
    }

    #[track_caller]
    fn check(argument: &str, path: &[&str], expect: &str) {
        let node = apply(root(), argument).unwrap();
        let found = path.iter().try_fold(&node, |node, key| node.get(key)).unwrap();
        assert_eq!(to_yaml(found), expect);
        assert_eq!(found.position().to_string(), format!("--set {}=…", argument.split_once('=').unwrap().0));
    }

    #[track_caller]
    fn check_error(argument: &str, expect: &str) {
        assert_eq!(apply(root(), argument).unwrap_err().to_string(), expect);
    }

    #[test]
    fn the_value_is_yaml() {
        check("service.level=debug", &["service", "level"], "debug\n");
        check("a=5", &["a"], "5\n");
        check("a.b='5'", &["a", "b"], "\"5\"\n");
        check("a=[x, w]", &["a"], "- x\n- w\n");
        check("rules=[3]", &["rules"], "- 3\n");
        check("a=x=y", &["a"], "\"x=y\"\n");
        check("empty.b=1", &["empty", "b"], "1\n");
        check("a=", &["a"], "null\n");
    }

    #[test]
    fn double_colons_separate_keys_with_dots() {
        check("exporters::otlp/a.b::endpoint=w", &["exporters", "otlp/a.b", "endpoint"], "w\n");
    }

    #[test]
    fn errors_name_the_argument_and_not_its_value() {
        check_error(
            "a",
            "--set a=…: write --set path=value, such as --set service.telemetry.logs.level=debug",
        );
        check_error("a..b=CANARY", "--set a..b=…: a key of the path is empty");
        check_error("=CANARY", "--set =…: a key of the path is empty");
        check_error(
            "rules.0=CANARY",
            "--set rules.0=…: `rules` is a list, not a map; set the whole of it: --set rules=[…]",
        );
        check_error(
            "a={CANARY",
            "--set a=…: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'",
        );
    }
}
