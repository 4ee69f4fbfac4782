//! Which overrides apply, where, and that none is left.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::print::to_yaml;

const BASE: &str = "
receivers:
  postgresql:
    interval: 10s
    databases: [a, b]
    environment_overrides:
      production: {interval: 30s, databases: [c]}
      staging: {interval: 20s}
  postgresql/small:
processors:
  sampler:
    rate: 1
    inner: {environment_overrides: {production: {rate: 2}}}
environment_overrides:
  production:
    receivers: {postgresql: {interval: 99s, timeout: 1s}, postgresql/extra: {interval: 5s}}
    service: {telemetry: {logs: {level: warn}}}
  development:
";

fn node(text: &str) -> Node {
    crate::parse::parse(&Arc::from(Path::new("t.yaml")), text).unwrap()
}

fn applied(text: &str, environment: Option<&str>) -> (String, Vec<String>) {
    let mut warnings = Warnings::default();
    let root = apply(node(text), environment, &mut warnings).unwrap();
    (to_yaml(&root), warnings.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = apply(node(text), Some("production"), &mut Warnings::default()).unwrap_err();
    assert_eq!(error.to_string(), expect);
}

#[test]
fn without_an_environment_all_overrides_go() {
    let (yaml, warnings) = applied(BASE, None);
    assert_eq!(
        yaml,
        "receivers:\n  postgresql:\n    interval: 10s\n    databases:\n      - a\n      - b\n  postgresql/small:\n\
         processors:\n  sampler:\n    rate: 1\n    inner:\n      environment_overrides:\n        production:\n          rate: 2\n"
    );
    assert!(warnings.is_empty());
}

#[test]
fn the_top_level_applies_first_and_the_component_last() {
    let (yaml, warnings) = applied(BASE, Some("production"));
    assert_eq!(
        yaml,
        "receivers:\n  postgresql:\n    interval: 30s\n    databases:\n      - c\n    timeout: 1s\n  postgresql/small:\n  \
         postgresql/extra:\n    interval: 5s\nprocessors:\n  sampler:\n    rate: 1\n    inner:\n      environment_overrides:\n        \
         production:\n          rate: 2\nservice:\n  telemetry:\n    logs:\n      level: warn\n"
    );
    assert!(warnings.is_empty());
}

#[test]
fn an_environment_with_an_empty_override_is_known() {
    assert_eq!(applied(BASE, Some("development")).1, Vec::<String>::new());
}

#[test]
fn an_environment_that_no_override_has_is_a_warning() {
    let warning = |environment| applied(BASE, Some(environment)).1;
    assert_eq!(
        warning("prodution"),
        ["warning: no `environment_overrides` has the environment `prodution`; did you mean `production`?"]
    );
    assert_eq!(warning("qa"), ["warning: no `environment_overrides` has the environment `qa`"]);
}

#[test]
fn overrides_are_maps_of_maps_in_every_environment() {
    check_error(
        "receivers: {a: {environment_overrides: [x]}}",
        "t.yaml:1:40: receivers.a.environment_overrides: expected a map of environments, such as production",
    );
    check_error(
        "environment_overrides: {production: 5, staging: [x]}",
        "t.yaml:1:37: environment_overrides.production: expected a map of settings\n\
         t.yaml:1:49: environment_overrides.staging: expected a map of settings",
    );
}

#[test]
fn sections_that_are_no_maps_are_left_to_others() {
    assert_eq!(applied("receivers: [a]\nexporters:\n", Some("qa")).0, "receivers:\n  - a\nexporters:\n");
}
