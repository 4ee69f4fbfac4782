//! No secret is printed, and what is printed loads again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::document::{Document, LoadOptions, Loaded};
use crate::values::{Headers, Secret};

/// Files by name; each variable is CANARY, but for HOST, PORT and LIST.
struct Fake(BTreeMap<String, String>);

impl crate::Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, std::env::VarError> {
        match name {
            "HOST" => Ok("db".to_owned()),
            "PORT" => Ok("5432".to_owned()),
            "LIST" => Ok("[a, b]".to_owned()),
            "UNSET" => Err(std::env::VarError::NotPresent),
            _ => Ok("CANARY".to_owned()),
        }
    }

    fn read_file(&self, path: &std::path::Path, _: usize) -> std::io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.0.get(path)).cloned();
        Ok(text.unwrap_or_else(|| "CANARY\n".to_owned()).into_bytes())
    }
}

fn load(text: &str) -> Loaded {
    let files = Fake(BTreeMap::from([("t.yaml".to_owned(), text.to_owned())]));
    let options = LoadOptions { files: vec![PathBuf::from("t.yaml")], ..LoadOptions::default() };
    Document::load(&options, &files).unwrap()
}

fn printed(text: &str, schemas: &[ComponentSchema]) -> String {
    load(text).document.to_yaml(schemas)
}

/// Prints one setting of a receiver, and that the print prints the same.
#[track_caller]
fn check(written: &str, expect: &str) {
    let yaml = printed(&format!("receivers:\n  a:\n    {written}\n"), &[]);
    assert_eq!(yaml, format!("receivers:\n  a:\n    {expect}\n"), "{written}");
    assert_eq!(printed(&yaml, &[]), yaml, "loads again: {written}");
}

#[test]
fn inline_secrets_are_redacted() {
    check("password: CANARY", "password: \"[redacted]\"");
    check("PGPASSWORD: 123", "PGPASSWORD: \"[redacted]\"");
    check("api-key: CANARY", "api-key: \"[redacted]\"");
    check("tls: {key_pem: CANARY, key_file: /k}", "tls:\n      key_pem: \"[redacted]\"\n      key_file: /k");
    check("secrets: {a: [CANARY]}", "secrets:\n      a:\n        - \"[redacted]\"");
    check("url: 'postgres://u:CANARY@db/x'", "url: \"[redacted]\"");
    check("dsn_: 'host=db password=CANARY'", "dsn_: \"[redacted]\"");
    check("password: ''", "password: \"\"");
    check("password:", "password:");
}

#[test]
fn headers_are_redacted_and_their_names_are_not() {
    check("headers: {x-id: CANARY}", "headers:\n      x-id: \"[redacted]\"");
    check(
        "headers: [{name: x-id, value: CANARY}]",
        "headers:\n      - name: x-id\n        value: \"[redacted]\"",
    );
    check("headers: {name: CANARY}", "headers:\n      name: \"[redacted]\"");
}

#[test]
fn references_are_shown_instead_of_secrets() {
    check("password: ${env:PW}", "password: \"${env:PW}\"");
    check("password: ${PW:CANARY}", "password: \"${PW:-[redacted]}\"");
    check("password: ${UNSET:CANARY}", "password: \"${UNSET:-[redacted]}\"");
    check("password: CANARY${PW}", "password: \"[redacted]${PW}\"");
    check(
        "headers: {authorization: 'Bearer ${TOKEN}'}",
        "headers:\n      authorization: \"Bearer ${TOKEN}\"",
    );
    check("anything: ${file:/run/x}", "anything: \"${file:/run/x}\"");
    check("anything: a${file:/run/x}b", "anything: \"[redacted]${file:/run/x}[redacted]\"");
    check("anything: ${env:MY_TOKEN}", "anything: \"${env:MY_TOKEN}\"");
    check("url: 'postgres://u:${X}@db'", "url: \"[redacted]${X}[redacted]\"");
}

#[test]
fn harmless_values_from_the_environment_are_shown() {
    check("endpoint: ${HOST}:${PORT}", "endpoint: \"db:5432\"".replace('"', "").as_str());
    check("port: ${PORT}", "port: 5432");
    check("port: ${UNSET:0123}", "port: 0123");
    check("databases: ${LIST}", "databases: \"${LIST}\"");
    check("databases: ${UNSET:}", "databases: \"${UNSET:}\"");
}

#[test]
fn dollars_are_doubled() {
    check("a: a$$b", "a: \"a$$b\"");
    check("a: $${HOST}", "a: \"$${HOST}\"");
    check("a: pa$word", "a: \"pa$$word\"");
}

#[test]
fn names_of_components_and_sections_hide_nothing() {
    let yaml = "receivers:\n  token/secret:\n    endpoint: db:1\nservice:\n  pipelines:\n    metrics/token:\n      receivers:\n        - token/secret\n";
    assert_eq!(printed(yaml, &[]), yaml);
}

#[derive(JsonSchema, Deserialize)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Settings {
    unlisted: Secret,
    optional: Option<Secret>,
    list: Vec<Secret>,
    by_name: BTreeMap<String, Secret>,
    nested: Nested,
    choice: Choice,
    labels: Headers,
    #[serde(flatten)]
    flat: Flat,
    plain: String,
}

#[derive(JsonSchema, Deserialize)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Nested {
    within: Secret,
    again: Option<Box<Nested>>,
}

#[derive(JsonSchema, Deserialize)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Flat {
    flattened: Secret,
}

#[derive(JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only the schema is looked at")]
enum Choice {
    Basic { inner: Secret },
    Plain,
}

#[test]
fn the_schema_tells_secrets_that_no_name_tells() {
    let schema = ComponentSchema {
        section: Section::Receivers,
        kind: "a".to_owned(),
        schema: schemars::schema_for!(Settings),
    };
    let text = "receivers:\n  a/x:\n    unlisted: CANARY\n    optional: CANARY\n    list: [CANARY]\n    by_name: {x: CANARY}\n    \
                nested: {within: CANARY, again: {within: CANARY, again: {within: CANARY}}}\n    choice: {basic: {inner: CANARY}}\n    \
                labels: {x: CANARY}\n    flattened: ${CAN}\n    plain: shown\n";
    let yaml = printed(text, &[schema]);
    assert!(!yaml.contains("CANARY"), "{yaml}");
    assert!(yaml.contains("plain: shown") && yaml.contains("flattened: \"${CAN}\""), "{yaml}");
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Closed {
    password: Option<Secret>,
    host: String,
    free: BTreeMap<String, String>,
}

#[test]
fn a_key_that_the_schema_does_not_know_is_hidden() {
    let schema = ComponentSchema {
        section: Section::Receivers,
        kind: "a".to_owned(),
        schema: schemars::schema_for!(Closed),
    };
    let text = "receivers:\n  a:\n    pasword: CANARY\n    host: shown\n    free:\n      x: shown\n";
    let expect = text.replace("CANARY", "\"[redacted]\"");
    assert_eq!(printed(text, &[schema]), expect);
}

#[test]
fn telemetry_headers_are_redacted() {
    let text = "service:\n  telemetry:\n    traces:\n      processors:\n        - batch: {exporter: {otlp: {endpoint: 'x:1', headers: {k: CANARY}}}}\n";
    assert!(!printed(text, &[]).contains("CANARY"));
}
