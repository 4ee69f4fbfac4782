//! What a configuration becomes, and what is said about one that cannot be.

use super::*;

fn validated(json: &str) -> Result<Validated<AdaptiveSamplerConfig>, Vec<Complaint>> {
    let settings: AdaptiveSamplerSettings = serde_json::from_str(json).unwrap();
    settings.validate()
}

#[track_caller]
fn refused(json: &str, field: &str, words: &str) {
    let complaints = validated(json).expect_err(json);
    let [complaint] = complaints.as_slice() else { panic!("{json}: {complaints:?}") };
    assert_eq!(complaint.field, field, "{json}: {complaint:?}");
    assert!(complaint.message.contains(words), "{json}: {complaint:?}");
}

/// A configuration with one rule, of which `more` is a part.
fn rule(more: &str) -> String {
    format!(r#"{{"rules": [{{"name": "r", "conditions": [], {more}}}]}}"#)
}

/// A configuration with one rule with one condition.
fn condition(condition: &str) -> String {
    format!(
        r#"{{"rules": [{{"name": "r", "conditions": [{{"attribute": "postgresql.state", {condition}}}]}}]}}"#
    )
}

fn names(config: &AdaptiveSamplerConfig) -> Vec<&str> {
    config.rules.iter().map(|rule| rule.name.as_str()).collect()
}

#[test]
fn without_a_word_every_template_is_a_rule_and_a_fifth_is_reserved() {
    let Validated { config, notices } = validated("{}").unwrap();
    let expected =
        ["blocked_sessions", "root_blockers", "errors", "lock_waits", "slow_queries", "everything_else"];
    assert_eq!(names(&config), expected);
    assert_eq!((config.records_per_second, config.reserved_share), (500, 0.2));
    assert_eq!(config.rules[5].rate, Rate::Adaptive);
    assert_eq!(notices, []);
    let equal = validated(r#"{"max_records_per_second": 500}"#).unwrap();
    assert_eq!(equal.config, config, "configurations can be compared");
}

#[test]
fn critical_rules_come_first_then_priority_then_the_order_written() {
    let config = validated(
        r#"{"rules": [
            {"name": "low", "priority": -1, "conditions": [{"attribute": "db.namespace", "operator": "exists"}]},
            {"name": "first", "conditions": [{"attribute": "db.namespace", "operator": "exists"}]},
            {"name": "second", "conditions": [{"attribute": "db.namespace", "operator": "exists"}]},
            {"name": "high", "priority": 9, "conditions": [{"attribute": "db.namespace", "operator": "exists"}]},
            {"template": "blocked_sessions", "name": "blocked", "priority": -7, "sample_rate": 0.5}]}"#,
    );
    let Validated { config, notices } = config.unwrap();
    assert_eq!(names(&config), ["blocked", "high", "first", "second", "low"]);
    assert_eq!(config.rules[0].rate, Rate::Fixed(0.5));
    assert_eq!(notices.len(), 1, "a critical rule that leaves records out is worth a word: {notices:?}");
}

#[test]
fn nothing_is_reserved_for_critical_rules_that_there_are_none_of() {
    let config = validated(r#"{"rules": [{"template": "everything_else"}]}"#).unwrap().config;
    assert_eq!(config.reserved_share, 0.0);
    assert_eq!(validated(r#"{"rules": []}"#).unwrap().config.rules, []);
}

#[test]
fn what_is_never_asked_or_never_matches_is_noticed() {
    let notices = validated(
        r#"{"rules": [{"name": "all", "priority": 1, "conditions": []},
            {"name": "never", "conditions": [{"attribute": "postgresql.stat", "operator": "exists"}]}]}"#,
    );
    let notices = notices.unwrap().notices;
    let fields: Vec<&str> = notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(fields, ["rules.1.conditions.0.attribute", "rules.1"]);
    let notices = validated(r#"{"rules": [{"name": "all", "critical": true, "conditions": []}]}"#);
    assert_eq!(notices.unwrap().notices[0].field, "rules.0.critical");
}

#[test]
fn numbers_outside_their_bounds_are_named() {
    refused(r#"{"max_records_per_second": 0}"#, "max_records_per_second", "1 to 1000000");
    refused(r#"{"max_records_per_second": 1000001}"#, "max_records_per_second", "1 to 1000000");
    refused(r#"{"reserved_share": 0}"#, "reserved_share", "above 0");
    refused(r#"{"reserved_share": 1}"#, "reserved_share", "below 1");
    refused(r#"{"burst": "500ms"}"#, "burst", "1s to 60s");
    refused(r#"{"burst": "61s"}"#, "burst", "1s to 60s");
    refused(r#"{"min_rate": 0}"#, "min_rate", "from 0.0001");
    refused(r#"{"max_rate": 1.5}"#, "max_rate", "to 1");
    refused(r#"{"min_rate": 0.5, "max_rate": 0.4}"#, "min_rate", "max_rate");
    refused(r#"{"time_bucket": "2h"}"#, "time_bucket", "1s to 1h");
    refused(r#"{"time_bucket": "20s"}"#, "dedup.window", "time_bucket");
    refused(r#"{"dedup": {"max_entries": 0}}"#, "dedup.max_entries", "window: 0");
    refused(r#"{"dedup": {"max_entries": 1000001}}"#, "dedup.max_entries", "1 to 1000000");
    refused(&rule(r#""sample_rate": 1.1"#), "rules.0.sample_rate", "0 to 1");
    refused(&rule(r#""sample_rate": -0.1"#), "rules.0.sample_rate", "0 to 1");
    refused(&rule(r#""max_per_minute": 0"#), "rules.0.max_per_minute", "sample_rate: 0");
    refused(&rule(r#""max_per_minute": 60000001"#), "rules.0.max_per_minute", "60000000");
}

#[test]
fn rules_that_cannot_be_are_named() {
    let many = |number: usize, item: &str| vec![item; number].join(", ");
    let rules = many(RULES_MAX + 1, r#"{"template": "errors"}"#);
    refused(&format!(r#"{{"rules": [{rules}]}}"#), "rules", "at most 64");
    refused(r#"{"rules": [{"conditions": []}]}"#, "rules.0.name", "missing");
    refused(r#"{"rules": [{"name": "", "conditions": []}]}"#, "rules.0.name", "1 to 64");
    refused(r#"{"rules": [{"name": "a b", "conditions": []}]}"#, "rules.0.name", "letters");
    refused(r#"{"rules": [{"name": "default", "conditions": []}]}"#, "rules.0.name", "another name");
    refused(r#"{"rules": [{"template": "errors"}, {"template": "errors"}]}"#, "rules.1.name", "another rule");
    refused(r#"{"rules": [{"name": "r"}]}"#, "rules.0.conditions", "conditions: []");
    refused(r#"{"rules": [{"template": "errors", "conditions": []}]}"#, "rules.0.conditions", "template");
    let conditions = many(CONDITIONS_MAX + 1, r#"{"attribute": "postgresql.state", "operator": "exists"}"#);
    let rule = format!(r#"{{"rules": [{{"name": "r", "conditions": [{conditions}]}}]}}"#);
    refused(&rule, "rules.0.conditions", "at most 16");
}

#[test]
fn conditions_that_cannot_be_are_named() {
    let value = "rules.0.conditions.0.value";
    refused(&condition(r#""operator": "eq""#), value, "missing");
    for operator in ["gt", "gte", "lt", "lte"] {
        refused(&condition(&format!(r#""operator": "{operator}", "value": "much""#)), value, "a number");
        refused(&condition(&format!(r#""operator": "{operator}", "value": "inf""#)), value, "a number");
    }
    refused(&condition(r#""operator": "exists", "value": "yes""#), value, "true or false");
    refused(&condition(r#""operator": "contains", "value": """#), value, "empty");
    refused(&condition(r#""operator": "regex", "value": """#), value, "at most 512");
    refused(
        &condition(&format!(r#""operator": "regex", "value": "{}""#, "x".repeat(513))),
        value,
        "at most 512",
    );
    refused(&condition(r#""operator": "regex", "value": "a(""#), value, "not a pattern: unclosed group");
    refused(&condition(r#""operator": "regex", "value": "(\\w{99}){99}""#), value, "too large");
    refused(&condition(&format!(r#""operator": "eq", "value": "{}""#, "x".repeat(1025))), value, "1024");
    let attribute = |name: &str| {
        format!(
            r#"{{"rules": [{{"name": "r", "conditions": [{{"attribute": "{name}", "operator": "exists"}}]}}]}}"#
        )
    };
    refused(&attribute(""), "rules.0.conditions.0.attribute", "1 to 128");
    refused(&attribute(&"x".repeat(129)), "rules.0.conditions.0.attribute", "1 to 128");
    let pattern = r#"{"attribute": "postgresql.state", "operator": "regex", "value": "x"}"#;
    let rules: Vec<String> = (0..3)
        .map(|n| format!(r#"{{"name": "r{n}", "conditions": [{}]}}"#, [pattern; 11].join(", ")))
        .collect();
    refused(
        &format!(r#"{{"rules": [{}]}}"#, rules.join(", ")),
        "rules.2.conditions.10.operator",
        "at most 32",
    );
}

#[test]
fn unknown_keys_operators_and_templates_are_errors() {
    for json in [
        r#"{"max_record_per_second": 1}"#,
        r#"{"dedup": {"windows": "1s"}}"#,
        r#"{"rules": [{"templat": "errors"}]}"#,
        r#"{"rules": [{"template": "error"}]}"#,
        r#"{"rules": [{"name": "r", "conditions": [{"attribute": "a", "operator": "equals"}]}]}"#,
        r#"{"rules": [{"name": "r", "conditions": [{"attribute": "a", "operator": "eq", "value": [1]}]}]}"#,
    ] {
        assert!(serde_json::from_str::<AdaptiveSamplerSettings>(json).is_err(), "{json}");
    }
}
