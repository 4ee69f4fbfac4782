use super::preflight::PREFLIGHT;
use super::vet::UNWRITTEN_OPERATORS;
use super::*;

#[test]
fn the_identifier_is_that_of_the_plan_and_not_of_a_string_in_it() {
    let plan = r#"[{"Plan": {"Filter": "(a = '\"Query Identifier\": 7')"}, "Query Identifier": -12}]"#;
    assert_eq!(identifier_of(plan), Some(-12));
    assert_eq!(identifier_of(r#"[{"Plan": {"Filter": "(a = '\"Query Identifier\": 7')"}}]"#), None);
}

#[test]
fn subplans_are_removed_if_there_is_a_number_of_them() {
    assert!(removes_subplans(r#"{"Subplans Removed": 0, "Plans": [{"Subplans Removed": 12}]}"#));
    assert!(!removes_subplans(r#"{"Subplans Removed": 0, "Filter": "'\"Subplans Removed\": 1'"}"#));
}

#[test]
fn limits_are_never_longer_than_those_of_the_receiver() {
    let limits = |statement, lock| Limits {
        statement_timeout: Duration::from_millis(statement),
        lock_timeout: Duration::from_millis(lock),
    };
    assert_eq!(plan_limits(limits(5_000, 3_000)), limits(500, 100));
    assert_eq!(plan_limits(limits(200, 50)), limits(200, 50));
}

#[test]
fn a_search_path_is_a_list_of_names() {
    assert_eq!(schemas_of(r#""App One", public, Other"#), ["App One", "public", "other"]);
    assert_eq!(schemas_of(r#" a-b ,"say ""it""","a,b",$user"#), ["a-b", "say \"it\"", "a,b", "$user"]);
    assert_eq!(schemas_of(&format!("{},b", "é".repeat(40))), ["é".repeat(31), "b".to_owned()]);
    assert_eq!(schemas_of(r#"a, "b"#), ["a"]);
    assert_eq!(schemas_of(r#"a b, c"#), ["a"]);
    assert!(schemas_of(r#" "" "#).is_empty() && schemas_of("").is_empty());
}

#[test]
fn a_text_does_not_show_in_debug_output() {
    let text = StatementText(Ok("select secret".to_owned()));
    let planned = Planned(Arc::new(("select secret".to_owned(), 1, String::new())));
    assert!(!format!("{text:?} {planned:?}").contains("secret"));
}

/// What the comments of the constants say is in the constants.
#[test]
fn bounds_in_sql_are_the_named_ones() {
    assert!(PREFLIGHT.contains(&format!("LIMIT {}", MAX_RELATIONS + 1)));
    assert!(PREFLIGHT_WITH_SIZES.contains(&format!("LIMIT {}", MAX_PLAN_TABLES + 1)));
    assert!(RESULT.contains(&format!("<= {MAX_PLAN_BYTES} ")));
    for block in [EXPLAIN, EXPLAIN_GENERIC, EXPLAIN_PREPARED] {
        assert!(block.contains(&format!("ERRCODE = '{DONE}'")) && !block.contains("ANALYZE"));
    }
    assert!(PLANNER_SETTINGS.is_sorted());
}

/// The function does what the block does, with the same look at what planning would touch.
#[test]
fn the_function_has_the_bounds_and_the_preflight_of_the_block() {
    let script = create_script("o'dd \"one\"");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let preflight = PREFLIGHT.replace("ANY($1)", "ANY(names)").replace("ANY($2)", "ANY(operators)");
    let preflight = preflight.replace("ANY($3)", "ANY(schemas)");
    assert!(words(&script).contains(&words(&preflight)), "{script}");
    assert!(script.contains(&format!("ERRCODE = '{DONE}'")) && !script.contains("ANALYZE"));
    let unwritten = UNWRITTEN_OPERATORS.map(|operator| format!("'{operator}'")).join(", ");
    assert!(script.contains(&format!("unwritten CONSTANT text[] := ARRAY[{unwritten}];")), "{script}");
    for call in [function::CALL, sensitivity::CALL] {
        assert!(call.contains(&format!("<= {MAX_PLAN_BYTES} ")));
    }
    for script in [script.as_str(), &drop_script("any")] {
        assert!(!script.contains('{') && !script.contains('}'), "{script}");
    }
    assert!(script.contains(r#"TO "o'dd ""one""";"#), "{script}");
}
