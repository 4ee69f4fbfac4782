//! Laying one configuration over another.
//!
//! Maps merge key by key; everything else replaces: a list replaces a list, and an empty value
//! (`processors:`) replaces whatever was there. A key keeps the place in which it first stood.

use crate::node::{Entry, Map, Node, Value};

/// `overlay` over `base`.
pub(crate) fn merge(mut base: Node, overlay: Node) -> Node {
    if !matches!((base.value(), overlay.value()), (Value::Map(_), Value::Map(_))) {
        return overlay;
    }
    let overlay = match overlay.into_value() {
        Value::Map(map) => map,
        _ => Map::default(),
    };
    if let Value::Map(map) = base.value_mut() {
        overlay.into_entries().into_iter().for_each(|entry| merge_entry(map, entry));
    }
    base
}

fn merge_entry(map: &mut Map, overlay: Entry) {
    let merged = match map.entry_mut(&overlay.key) {
        Some(slot) => {
            let base = slot.value.take();
            let key_position = if overlay.value.as_map().is_some() && base.as_map().is_some() {
                slot.key_position.clone()
            } else {
                overlay.key_position
            };
            Entry { key: overlay.key, key_position, value: merge(base, overlay.value) }
        }
        None => overlay,
    };
    map.insert(merged);
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::position::Position;
    use crate::print::to_yaml;

    fn node(text: &str) -> Node {
        crate::parse::parse(&Arc::from(Path::new("t.yaml")), text).unwrap()
    }

    #[track_caller]
    fn check(base: &str, overlay: &str, expect: &str) {
        assert_eq!(to_yaml(&merge(node(base), node(overlay))), expect);
    }

    #[test]
    fn maps_merge_and_everything_else_replaces() {
        check("a: {b: 1, c: 2}", "a: {c: 3, d: 4}", "a:\n  b: 1\n  c: 3\n  d: 4\n");
        check("a: [1, 2]", "a: [3]", "a:\n  - 3\n");
        check("a: 1", "a: {b: 2}", "a:\n  b: 2\n");
        check("a: {b: 1}", "a: 2", "a: 2\n");
    }

    #[test]
    fn an_empty_value_wipes() {
        check("a: {b: 1}\nc: 2", "a:", "a:\nc: 2\n");
    }

    #[test]
    fn an_empty_map_changes_nothing() {
        check("a: {b: 1}", "a: {}", "a:\n  b: 1\n");
    }

    #[test]
    fn the_position_is_that_of_the_last_writer() {
        let file: Arc<Path> = Path::new("overlay.yaml").into();
        let overlay = crate::parse::parse(&file, "\na: {c: 3}").unwrap();
        let merged = merge(node("a: {b: 1, c: 2}"), overlay);
        let position = merged.at("a.c").unwrap().position();
        assert_eq!(*position, Position::new(file, 2, 8));
        assert_eq!(merged.at("a.b").unwrap().position().to_string(), "t.yaml:1:8");
    }

    /// Trees in which a path is a map in all of them or in none: there the order of brackets does not
    /// matter. (Where a value replaces a map and a map replaces the value, it does: the first map is
    /// gone, or not.)
    fn tree() -> impl Strategy<Value = String> {
        let leaf = proptest::collection::btree_map("[a-c]", 0_u8..9, 0..3);
        let maps = proptest::collection::btree_map("[A-C]", leaf.clone(), 0..3);
        (leaf, maps).prop_map(|(leaves, maps)| format!("{{leaves: {leaves:?}, maps: {maps:?}}}"))
    }

    proptest! {
        #[test]
        fn merging_is_associative_where_kinds_agree(a in tree(), b in tree(), c in tree()) {
            let left = merge(merge(node(&a), node(&b)), node(&c));
            let right = merge(node(&a), merge(node(&b), node(&c)));
            prop_assert_eq!(to_yaml(&left), to_yaml(&right));
        }

        #[test]
        fn merging_with_itself_changes_nothing(a in tree()) {
            prop_assert_eq!(to_yaml(&merge(node(&a), node(&a))), to_yaml(&node(&a)));
        }
    }
}
