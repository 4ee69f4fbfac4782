//! What is printed reads back as what was printed.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::node::Entry;
use crate::position::Position;

fn parse(text: &str) -> Node {
    crate::parse::parse(&Arc::from(Path::new("t.yaml")), text).unwrap()
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(to_yaml(&parse(text)), expect);
}

/// Equal but for positions.
fn same(left: &Node, right: &Node) -> bool {
    match (left.value(), right.value()) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(left), Value::Scalar(right)) => {
            let (left_meaning, right_meaning) = (meaning(left), meaning(right));
            let nan = |meaning| matches!(meaning, Meaning::Float(number) if number.is_nan());
            left.text() == right.text()
                && (left_meaning == right_meaning || (nan(left_meaning) && nan(right_meaning)))
        }
        (Value::Seq(left), Value::Seq(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| left.key == right.key && same(&left.value, &right.value))
        }
        _ => false,
    }
}

#[test]
fn blocks_are_indented_by_two() {
    check(
        "{a: {b: [1, {c: 2, d: [x, [w]]}, []], e: {}}, f: }",
        "a:\n  b:\n    - 1\n    - c: 2\n      d:\n        - x\n        -\n          - w\n    - []\n  e: {}\nf:\n",
    );
}

#[test]
fn numbers_and_booleans_stay_as_written() {
    check(
        "[1.10, 007, 0x1F, +5, -1, .5, True, 1e3]",
        "- 1.10\n- 007\n- 0x1F\n- +5\n- -1\n- .5\n- True\n- 1e3\n",
    );
}

#[test]
fn text_that_looks_like_something_else_is_quoted() {
    check(
        "['1', 'true', 'null', '~', '', 'yes', '- a', 'a: b', 'a #b', '{', '*a', 'a:']",
        concat!(
            "- \"1\"\n- \"true\"\n- \"null\"\n- \"~\"\n- \"\"\n- \"yes\"\n- \"- a\"\n- \"a: b\"\n",
            "- \"a #b\"\n- \"{\"\n- \"*a\"\n- \"a:\"\n",
        ),
    );
    check("? '<<'\n: {'null': 1, 'a b': 2}\n", "\"<<\":\n  \"null\": 1\n  \"a b\": 2\n");
}

#[test]
fn lines_and_controls_are_escaped() {
    check(
        "- |\n  select 1\n  from t\n- \"\\e\\u2028\"\n",
        "- \"select 1\\nfrom t\\n\"\n- \"\\u001b\\u2028\"\n",
    );
}

fn tree() -> impl Strategy<Value = Node> {
    let at = || Position::new(Arc::from(Path::new("t.yaml")), 1, 1);
    let text = prop_oneof![".*", "[-0-9a-z:#.~ ]{0,4}", Just("null".to_owned()), Just("<<".to_owned())];
    let scalar = text.clone().prop_map(move |text| Node::new(Value::Scalar(Scalar::new(text, true)), at()));
    let number = any::<i32>()
        .prop_map(move |number| Node::new(Value::Scalar(Scalar::new(number.to_string(), false)), at()));
    let leaf = prop_oneof![scalar, number, Just(Node::new(Value::Null, at()))];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let map = proptest::collection::btree_map(text.clone(), inner.clone(), 0..4).prop_map(move |map| {
            let entry = |(key, value): (String, Node)| Entry { key: key.into(), key_position: at(), value };
            Node::new(Value::Map(map.into_iter().map(entry).collect()), at())
        });
        let seq =
            proptest::collection::vec(inner, 0..4).prop_map(move |items| Node::new(Value::Seq(items), at()));
        prop_oneof![map, seq]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(node in tree()) {
        let yaml = to_yaml(&node);
        let back = parse(&yaml);
        prop_assert!(same(&node, &back), "{yaml}");
    }
}
