//! The printed rules are the rules in effect.

use dbintel_config::from_yaml;

use super::super::config::AdaptiveSamplerSettings;
use super::*;

/// Settings as they are read from a tree: position by position the same as from a file.
fn read(node: &Node) -> AdaptiveSamplerSettings {
    dbintel_config::read(node, "processors.adaptive_sampler").unwrap()
}

fn node(entries: &[(&str, Node)]) -> Node {
    let entries = entries.iter().map(|(key, node)| entry(key, node.clone(), &at()));
    Node::new(Value::Map(entries.collect()), at())
}

fn text(text: &str) -> Node {
    scalar(text, &at())
}

fn at() -> Position {
    Position::whole(std::path::Path::new("t.yaml").into())
}

#[test]
fn what_is_printed_is_what_is_in_effect() {
    let nothing = Node::new(Value::Null, at());
    let mine =
        node(&[("template", text("slow_queries")), ("sample_rate", text("0.5")), ("name", text("slow"))]);
    let own = node(&[("name", text("own")), ("conditions", Node::new(Value::Seq(Vec::new()), at()))]);
    let written =
        |items: Vec<Node>| node(&[("min_rate", text("0.5")), ("rules", Node::new(Value::Seq(items), at()))]);
    for settings in [nothing, written(Vec::new()), written(vec![mine.clone(), own.clone()])] {
        let printed = expanded(&settings);
        assert_eq!(read(&printed).validate(), read(&settings).validate());
        let rules = printed.get("rules").unwrap().as_seq().unwrap();
        assert!(rules.iter().all(|rule| rule.get("template").is_none() && rule.get("name").is_some()));
        assert_eq!(expanded(&printed), printed, "printed once more it is the same");
    }
    let rules = expanded(&written(vec![mine, own.clone()]));
    let rules = rules.get("rules").unwrap().as_seq().unwrap();
    let of = |key: &str| rules[0].get(key).and_then(Node::text);
    assert_eq!(
        (of("name"), of("sample_rate"), of("max_per_minute")),
        (Some("slow"), Some("0.5"), Some("3000"))
    );
    assert_eq!(rules[1], own);
}

#[test]
fn every_template_can_be_named_and_is_valid() {
    for template in &TEMPLATES {
        let settings = format!("rules: [{{template: {}}}]", template.word);
        let settings: AdaptiveSamplerSettings = from_yaml(&settings).unwrap();
        assert_eq!(settings.rules.as_ref().unwrap()[0].template, Some(template.name));
        let validated = settings.validate().unwrap();
        assert_eq!(validated.config.rules[0].name.as_str(), template.word);
    }
    let priorities: Vec<i32> = TEMPLATES.iter().map(|template| template.priority).collect();
    assert!(priorities.is_sorted_by(|a, b| a > b), "{priorities:?}");
}
