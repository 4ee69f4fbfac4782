//! JSON Schema of a whole configuration, for editors and for `dbintel schema`.
//!
//! The caller brings a schema for each component; this module puts them together: sections with
//! `^type(/.+)?$` for the ids, the service, environment overrides, and `${…}` wherever a number, a
//! boolean or text of a fixed form is wanted.

use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use crate::component::Section;
use crate::overrides;
use crate::service::ServiceConfig;

mod lens;
#[cfg(test)]
mod tests;

pub(crate) use lens::Lens;

/// The schema of the settings of one type of component.
#[derive(Debug, Clone)]
pub struct ComponentSchema {
    /// The section it may be defined in.
    pub section: Section,
    /// Its type, the part of the id before `/`.
    pub kind: String,
    /// The schema of its settings, as `schemars::schema_for!` gives it.
    pub schema: Schema,
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DEFS: &str = "$defs";
const REFERENCE_DEF: &str = "reference";

/// The schema of a configuration with these components.
pub fn assemble(components: &[ComponentSchema]) -> Json {
    let mut defs = Map::new();
    defs.insert(REFERENCE_DEF.to_owned(), reference_schema());
    let mut properties = Map::new();
    for section in Section::ALL {
        properties.insert(section.name().to_owned(), section_schema(section, components, &mut defs));
    }
    let service = hoisted("service", service_schema().to_value(), &mut defs);
    properties.insert("service".to_owned(), service);
    properties.insert("connectors".to_owned(), json!({ "maxProperties": 0, "type": ["object", "null"] }));
    properties.insert(
        overrides::KEY.to_owned(),
        overrides_schema("Settings for one environment, over all others."),
    );
    json!({
        "$schema": DIALECT,
        "title": "dbintel configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        DEFS: defs,
    })
}

pub(crate) fn service_schema() -> Schema {
    schemars::schema_for!(ServiceConfig)
}

fn section_schema(section: Section, components: &[ComponentSchema], defs: &mut Map<String, Json>) -> Json {
    let mut patterns = Map::new();
    for component in components.iter().filter(|component| component.section == section) {
        let name = format!("{section}.{}", component.kind);
        let mut schema = component.schema.clone().to_value();
        allow_overrides(&mut schema);
        let reference = hoisted(&name, schema, defs);
        patterns.insert(
            format!("^{}(/.+)?$", component.kind),
            json!({ "anyOf": [reference, { "type": "null" }] }),
        );
    }
    json!({
        "type": ["object", "null"],
        "patternProperties": patterns,
        "additionalProperties": false,
    })
}

fn reference_schema() -> Json {
    json!({
        "type": "string",
        "description": "A value from the environment or a file, such as ${env:NAME}, ${env:NAME:-default}, ${file:/path}.",
        "pattern": r"\$\{.+\}",
    })
}

fn overrides_schema(description: &str) -> Json {
    json!({
        "type": ["object", "null"],
        "description": description,
        "additionalProperties": { "type": ["object", "null"] },
    })
}

fn allow_overrides(schema: &mut Json) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.get("type") == Some(&json!("object")) {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            let overrides = overrides_schema("Settings of this component for one environment.");
            properties.insert(overrides::KEY.to_owned(), overrides);
        }
    }
}

/// Moves a schema and its definitions into the shared ones under names of its own, and refers to it.
fn hoisted(name: &str, mut schema: Json, defs: &mut Map<String, Json>) -> Json {
    let own_defs = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove(DEFS)
    });
    let mut adopt = |own_name: String, mut schema: Json| {
        rename_refs(&mut schema, name);
        allow_references(&mut schema);
        defs.insert(own_name, schema);
    };
    if let Some(Json::Object(own_defs)) = own_defs {
        own_defs.into_iter().for_each(|(own, schema)| adopt(format!("{name}.{own}"), schema));
    }
    adopt(name.to_owned(), schema);
    json!({ "$ref": format!("#/{DEFS}/{name}") })
}

/// `#/$defs/Tls` becomes `#/$defs/exporters.otlp.Tls`.
fn rename_refs(schema: &mut Json, prefix: &str) {
    let own = format!("#/{DEFS}/");
    walk(schema, &mut |object| {
        if let Some(Json::String(reference)) = object.get_mut("$ref")
            && let Some(name) = reference.strip_prefix(&own)
        {
            *reference = format!("{own}{prefix}.{name}");
        } else if object.get("$ref") == Some(&json!("#")) {
            object.insert("$ref".to_owned(), json!(format!("{own}{prefix}")));
        }
    });
}

/// Lets `${…}` stand wherever text alone would not fit.
fn allow_references(schema: &mut Json) {
    walk(schema, &mut |object| {
        if needs_reference(object) {
            let original = std::mem::take(object);
            let mut wrapped = Map::new();
            for note in ["description", "default", "examples", "title", "deprecated"] {
                if let Some(value) = original.get(note) {
                    wrapped.insert(note.to_owned(), value.clone());
                }
            }
            let reference = json!({ "$ref": format!("#/{DEFS}/{REFERENCE_DEF}") });
            wrapped.insert("anyOf".to_owned(), json!([original, reference]));
            *object = wrapped;
        }
    });
}

/// Whether the schema is one of a scalar that does not accept all text.
fn needs_reference(object: &Map<String, Json>) -> bool {
    let types: Vec<&str> = match object.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let is_scalar = |name: &&str| matches!(*name, "string" | "integer" | "number" | "boolean" | "null");
    let is_free_text = types.contains(&"string")
        && !["pattern", "enum", "const", "format"].iter().any(|key| object.contains_key(*key));
    !types.is_empty() && types != ["null"] && types.iter().all(is_scalar) && !is_free_text
}

/// Visits every subschema, inner ones first.
fn walk(schema: &mut Json, visit: &mut dyn FnMut(&mut Map<String, Json>)) {
    /// Keywords whose value is a schema, a list of schemas, or a map of schemas.
    const ONE: [&str; 8] =
        ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];
    const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
    const NAMED: [&str; 3] = ["properties", "patternProperties", DEFS];
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    for (keyword, value) in object.iter_mut() {
        match value {
            value if ONE.contains(&keyword.as_str()) => walk(value, visit),
            Json::Array(schemas) if MANY.contains(&keyword.as_str()) => {
                schemas.iter_mut().for_each(|schema| walk(schema, visit));
            }
            Json::Object(schemas) if NAMED.contains(&keyword.as_str()) => {
                schemas.values_mut().for_each(|schema| walk(schema, visit));
            }
            _ => {}
        }
    }
    visit(object);
}
