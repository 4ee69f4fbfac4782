//! The assembled schema has what an editor needs.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::*;
use crate::values::{Duration, Secret};

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Settings {
    /// How often.
    interval: Duration,
    port: u16,
    name: String,
    password: Option<Secret>,
    nested: Option<Nested>,
}

#[derive(JsonSchema, Deserialize)]
#[allow(dead_code, reason = "only the schema is looked at")]
struct Nested {
    enabled: bool,
    again: Option<Box<Nested>>,
}

fn assembled() -> Json {
    let component = |section, kind: &str| ComponentSchema {
        section,
        kind: kind.to_owned(),
        schema: schema_for!(Settings),
    };
    assemble(&[component(Section::Receivers, "postgresql"), component(Section::Exporters, "otlp")])
}

#[track_caller]
fn at<'a>(schema: &'a Json, pointer: &str) -> &'a Json {
    schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {schema:#}"))
}

#[test]
fn ids_of_components_are_patterns() {
    let schema = assembled();
    let patterns = at(&schema, "/properties/exporters/patternProperties");
    assert_eq!(
        *patterns,
        json!({ "^otlp(/.+)?$": { "anyOf": [{ "$ref": "#/$defs/exporters.otlp" }, { "type": "null" }] } })
    );
    assert_eq!(*at(&schema, "/properties/processors/patternProperties"), json!({}));
    assert_eq!(*at(&schema, "/properties/processors/additionalProperties"), json!(false));
    assert_eq!(*at(&schema, "/properties/connectors/maxProperties"), json!(0));
}

#[test]
fn every_reference_leads_somewhere() {
    let mut schema = assembled();
    let defs = schema["$defs"].clone();
    let mut seen = 0;
    walk(&mut schema, &mut |object| {
        if let Some(Json::String(reference)) = object.get("$ref") {
            let name = reference.strip_prefix("#/$defs/").unwrap();
            assert!(defs.get(name).is_some(), "{reference}");
            seen += 1;
        }
    });
    assert!(seen > 20, "{seen}");
}

#[test]
fn definitions_of_two_components_do_not_meet() {
    let schema = assembled();
    let again = |prefix: &str| at(&schema, &format!("/$defs/{prefix}.Nested/properties/again")).to_string();
    assert!(again("receivers.postgresql").contains("#/$defs/receivers.postgresql.Nested"));
    assert!(again("exporters.otlp").contains("#/$defs/exporters.otlp.Nested"));
}

#[test]
fn references_may_stand_for_numbers_and_forms_but_text_needs_none() {
    let schema = assembled();
    let properties = at(&schema, "/$defs/receivers.postgresql/properties");
    assert_eq!(properties["port"]["anyOf"][1], json!({ "$ref": "#/$defs/reference" }));
    assert_eq!(properties["port"]["anyOf"][0]["maximum"], json!(65535));
    assert_eq!(properties["name"], json!({ "type": "string" }));
    assert_eq!(properties["interval"]["description"], json!("How often."));
    let duration = at(&schema, "/$defs/receivers.postgresql.Duration");
    assert_eq!(duration["anyOf"][1], json!({ "$ref": "#/$defs/reference" }));
    assert_eq!(duration["examples"][0], json!("10s"));
}

#[test]
fn components_may_have_overrides() {
    let schema = assembled();
    let overrides = at(&schema, "/$defs/receivers.postgresql/properties/environment_overrides");
    assert_eq!(overrides["type"], json!(["object", "null"]));
    assert!(schema.pointer("/$defs/service/properties/environment_overrides").is_none());
}

#[test]
fn secrets_are_write_only() {
    let schema = schema_for!(Settings).to_value();
    let is_secret = |key: &str| Lens::new(&schema).key(key).is_secret();
    assert!(is_secret("password") && !is_secret("name") && !is_secret("nope"));
    assert!(!Lens::new(&schema).key("nested").key("again").key("again").is_secret());
}
