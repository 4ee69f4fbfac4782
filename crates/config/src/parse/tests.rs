//! Syntax, positions and limits of YAML files.

use proptest::prelude::*;

use super::*;
use crate::print::to_yaml;

fn file() -> Arc<Path> {
    Path::new("t.yaml").into()
}

#[track_caller]
fn node(text: &str) -> Node {
    parse(&file(), text).unwrap()
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(to_yaml(&node(text)), expect);
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    assert_eq!(parse(&file(), text).unwrap_err().to_string(), expect);
}

#[test]
fn keys_and_values_know_where_they_stand() {
    let root =
        node("receivers:\n  postgresql:\n    endpoint: db:5432\n    databases: [orders,\n      stock]\n");
    let at = |path: &str| root.at(path).unwrap().position().to_string();
    assert_eq!(at("receivers.postgresql.endpoint"), "t.yaml:3:15");
    assert_eq!(at("receivers.postgresql.databases.1"), "t.yaml:5:7");
    let entry = root.get("receivers").unwrap().as_map().unwrap().entry("postgresql").unwrap();
    assert_eq!(entry.key_position.to_string(), "t.yaml:2:3");
}

#[test]
fn columns_are_characters() {
    assert_eq!(node("é: [ü, x]").at("é.1").unwrap().position().to_string(), "t.yaml:1:8");
}

#[test]
fn empty_files_are_nothing() {
    for text in ["", "\n", "# comment\n", "---\n", "\u{feff}", "---\n...\n"] {
        assert!(node(text).is_null(), "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_text() {
    check("\u{feff}a: 1", "a: 1\n");
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    check("a: &x [1, 2]\nb: *x", "a:\n  - 1\n  - 2\nb:\n  - 1\n  - 2\n");
    check("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3", "a:\n  p: 1\n  q: 2\nb:\n  q: 3\n  p: 1\n");
    check(
        "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
        "a:\n  p: 1\nb:\n  p: 2\n  q: 2\nc:\n  p: 1\n  q: 2\n",
    );
    check("'<<': 1", "\"<<\": 1\n");
}

#[test]
fn tags_of_the_core_schema_work() {
    check("a: !!str 5\nb: !!int 5\nc: !!map {}", "a: \"5\"\nb: 5\nc: {}\n");
}

#[test]
fn blocks_and_quotes_are_text() {
    let root = node("a: |\n  x\n  y\nb: >-\n  x\n  y\nc: '5'\nd: \"\\x41\"\n");
    let text = |key: &str| root.get(key).unwrap().text().unwrap().to_owned();
    assert_eq!([text("a"), text("b"), text("c"), text("d")], ["x\ny\n", "x y", "5", "A"]);
}

#[test]
fn syntax_errors_have_a_place_and_no_text() {
    check_error(
        "a: \"CANARY",
        "t.yaml:1:4: not valid YAML: while scanning a quoted scalar, found unexpected end of stream",
    );
    check_error(
        "a: b\n c: CANARY",
        "t.yaml:2:3: not valid YAML: mapping values are not allowed in this context",
    );
    check_error(
        "a: [CANARY",
        "t.yaml:2:1: not valid YAML: while parsing a flow sequence, expected ',' or ']'",
    );
    check_error("a: *nope", "t.yaml:1:4: not valid YAML: while parsing node, found unknown anchor");
    check_error(
        "a:\n\t- b",
        "t.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)",
    );
}

#[test]
fn references_in_flow_lists_need_quotes() {
    check_error(
        "a: [${HOST}, x]",
        "t.yaml:1:6: not valid YAML: while parsing a flow sequence, expected ',' or ']'; inside `[…]` and `{…}` \
         write references in quotes: \"${NAME}\"",
    );
}

#[test]
fn duplicate_keys_are_all_reported_with_both_places() {
    check_error(
        "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n",
        "t.yaml:4:3: duplicate key `c`; it is already at t.yaml:3:3\n\
         t.yaml:5:1: duplicate key `a`; it is already at t.yaml:1:1",
    );
}

#[test]
fn what_has_no_meaning_is_an_error() {
    check_error(
        "a: 1\n---\nb: 2",
        "t.yaml:2:1: not supported: a second YAML document; write it into its own file",
    );
    check_error("[a, b]: 1", "t.yaml:1:1: not supported: a list or map as a key; a key is text");
    check_error("? {a: b}\n: 1", "t.yaml:1:3: not supported: a list or map as a key; a key is text");
    check_error("~: 1", "t.yaml:1:1: not supported: a key that is not text");
    check_error("a: !secret CANARY", "t.yaml:1:4: not supported: a YAML tag; tags have no meaning here");
    check_error("a: !!binary CANARY", "t.yaml:1:4: not supported: a YAML tag that has no meaning here");
    check_error("a: !x [CANARY]", "t.yaml:1:4: not supported: a YAML tag; tags have no meaning here");
    check_error("a: &x [*x]", "t.yaml:1:8: not supported: an alias inside the value of its own anchor");
    check_error("<<: CANARY", "t.yaml:1:1: `<<` takes a map or a list of maps");
}

#[test]
fn limits_are_kept() {
    let nested = |levels: usize| format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&file(), &nested(NESTING_DEPTH_MAX)).is_ok());
    check_error(
        &nested(NESTING_DEPTH_MAX + 1),
        "t.yaml:1:65: the nesting of lists and maps exceeds the limit of 64 levels",
    );
    let keys: String = (0..=KEYS_PER_MAP_MAX).map(|key| format!("k{key}: 1\n")).collect();
    check_error(&keys, "t.yaml:4097:1: a map exceeds the limit of 4096 keys");
    let error = parse_bytes(&file(), &vec![b' '; FILE_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "t.yaml: the file exceeds the limit of 1048576 bytes");
    assert_eq!(
        parse_bytes(&file(), b"a: \xff").unwrap_err().to_string(),
        "t.yaml: the file is not UTF-8 text"
    );
}

#[test]
fn aliases_do_not_explode() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check_error(&bomb, "t.yaml:5:10: the number of nodes copied by aliases exceeds the limit of 10000 nodes");
}

#[test]
fn depth_counts_through_aliases() {
    let half = format!("{}x{}", "[".repeat(40), "]".repeat(40));
    let text = format!("a: &a {half}\nb: {}*a{}", "[".repeat(40), "]".repeat(40));
    check_error(&text, "t.yaml:2:44: the nesting of lists and maps exceeds the limit of 64 levels");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse_bytes(&file(), &bytes);
    }

    #[test]
    fn nothing_like_yaml_panics(text in r#"([a-c]|: |- |\? |[\[\]{},*&!|>%#'"$~<]|\n|\n  |---\n|<<: ){0,60}"#) {
        if let Ok(node) = parse(&file(), &text) {
            let yaml = to_yaml(&node);
            prop_assert_eq!(to_yaml(&parse(&file(), &yaml).unwrap()), yaml);
        }
    }
}
