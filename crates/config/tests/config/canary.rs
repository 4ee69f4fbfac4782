//! The word CANARY stands wherever a secret may. It must not be seen again: in errors, warnings, `Debug` or
//! the printed configuration, however the rest of the configuration is broken.

use std::path::PathBuf;

use dbintel_config::{Document, LoadOptions};
use proptest::prelude::*;

use crate::sample::{Fake, Report, schemas, validate};

const CONFIG: &str = r#"
receivers:
  postgresql:
    endpoint: ${env:FROM_ENV}:5432
    username: ${file:/run/user}
    password: CANARY
    target: CANARY
    collection_interval: 10s
    databases: [a, "${env:FROM_ENV}", "${file:/run/database}"]
    top_query_collection: {max_rows_per_query: 5, collection_interval: 60s}
    tls: {insecure: false, key_file: /k, key_pem: "-----BEGIN PRIVATE KEY-----\nCANARY"}
  postgresql/references:
    endpoint: db:5432
    password: ${env:PG_PASSWORD}
    target: ${UNSET:CANARY}
    environment_overrides: {production: {password: CANARY}}
exporters:
  otlp:
    endpoint: collector:4317
    headers: {authorization: Bearer CANARY, x-tenant: CANARY, "api-key": "${file:/run/key}"}
    compression: gzip
    queue_size: 64MiB
service:
  pipelines:
    metrics: {receivers: [postgresql, postgresql/references], exporters: [otlp]}
  telemetry:
    metrics:
      readers:
        - periodic: {exporter: {otlp: {endpoint: "http://x:4318", headers: [{name: k, value: CANARY}]}}}
"#;

/// `value` is in all files and in the variable of a password, `from_env` in the variable of other settings.
fn fake(text: &str, value: &str, from_env: &str) -> Fake {
    let mut fake = Fake::default();
    fake.variables.insert("FROM_ENV".to_owned(), from_env.to_owned());
    fake.variables.insert("PG_PASSWORD".to_owned(), value.to_owned());
    fake.files.insert("dbintel.yaml".to_owned(), text.to_owned());
    for file in ["/run/user", "/run/database", "/run/key"] {
        fake.files.insert(file.to_owned(), format!("{value}\n"));
    }
    fake
}

fn options(environment: Option<&str>) -> LoadOptions {
    LoadOptions {
        files: vec![PathBuf::from("dbintel.yaml")],
        sets: vec!["receivers.postgresql.password=CANARY".to_owned()],
        environment: environment.map(str::to_owned),
    }
}

/// Everything that may be shown of a configuration. Printed, a variable in a harmless place is shown, so
/// it has another value there.
fn shown(text: &str, value: &str, environment: Option<&str>) -> (Report, String) {
    let options = options(environment);
    let report = validate(&options, &fake(text, value, value));
    let mut shown = format!("{report}{report:?}{report:#?}{options:?}");
    if let Ok(loaded) = Document::load(&options, &fake(text, value, "visible")) {
        shown.push_str(&loaded.document.to_yaml(&schemas()));
    }
    (report, shown)
}

#[test]
fn a_good_configuration_shows_no_secret() {
    for environment in [None, Some("production")] {
        let (report, shown) = shown(CONFIG, "CANARY", environment);
        assert!(report.errors.is_empty(), "{}", report.errors);
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(
            report.warnings.iter().any(|warning| warning.path().ends_with(".target")),
            "typed secrets warn"
        );
    }
}

#[test]
fn the_printed_configuration_loads_and_prints_the_same() {
    let (report, _) = shown(CONFIG, "CANARY", None);
    let yaml = report.document.unwrap().to_yaml(&schemas());
    let again = LoadOptions { files: vec!["dbintel.yaml".into()], ..LoadOptions::default() };
    let document = Document::load(&again, &fake(&yaml, "CANARY", "CANARY")).unwrap().document;
    assert_eq!(document.to_yaml(&schemas()), yaml);
    assert!(
        yaml.contains("password: \"${env:PG_PASSWORD}\"") && yaml.contains("password: \"[redacted]\""),
        "{yaml}"
    );
}

/// Breaks one line of the configuration: what may be shown of it?
fn broken(line: usize, change: &str) -> String {
    let change_line = |index: usize, text: &str| match text.split_once(": ") {
        Some((key, value)) if index == line => match change {
            "list" => format!("{key}: [{value}]"),
            "map" => format!("{key}: {{x: {value}}}"),
            // A whole map as text, in a place where no secret belongs, is beyond guessing.
            "quoted" if value.starts_with('{') => text.to_owned(),
            "quoted" => format!("{key}: '{}'", value.replace('\'', "''")),
            "misspelled" => format!("{key}x: {value}"),
            "unclosed" => format!("{key}: \"{value}"),
            "reference" => format!("{key}: ${{{value}"),
            "foreign" => format!("{key}: ${{yaml:{value}}}"),
            "env" => format!("{key}: ${{FROM_ENV}}"),
            "tag" => format!("{key}: !secret {value}"),
            "anchor" => format!("{key}: *{value}"),
            "twice" => format!("{text}\n{text}"),
            "tab" => format!("\t{text}"),
            _ => text.to_owned(),
        },
        _ => text.to_owned(),
    };
    CONFIG.lines().enumerate().map(|(index, text)| change_line(index, text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_broken_configuration_shows_no_secret() {
    let changes = [
        "list",
        "map",
        "quoted",
        "misspelled",
        "unclosed",
        "reference",
        "foreign",
        "env",
        "tag",
        "anchor",
        "twice",
        "tab",
    ];
    let values =
        ["CANARY", "[CANARY]", "{CANARY: CANARY}", "CANARY:\n- CANARY", "u:CANARY@h", "${CANARY}", "-CANARY"];
    let mut failed = 0;
    for change in changes {
        for line in 0..CONFIG.lines().count() {
            for value in values {
                let text = broken(line, change);
                let (report, shown) = shown(&text, value, None);
                assert!(!shown.contains("CANARY"), "{change} of line {line} with {value}:\n{text}\n{shown}");
                failed += usize::from(!report.errors.is_empty());
            }
        }
    }
    assert!(failed > 1000, "only {failed} of them were errors");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = shown(&String::from_utf8_lossy(&bytes), "CANARY", None);
    }

    #[test]
    fn no_mutilation_panics_or_shows_the_environment(start in 0_usize..1500, length in 0_usize..40, insert in "[\\[\\]{}:,&*!|>'\"%@`$#a \n-]{0,6}") {
        let text = CONFIG.replace("CANARY", "other");
        let end = (start + length).min(text.len());
        let Some((head, tail)) = text.get(..start).zip(text.get(end..)) else { return Ok(()) };
        let (_, shown) = shown(&format!("{head}{insert}{tail}"), "CANARY-FROM-OUTSIDE", Some("production"));
        prop_assert!(!shown.contains("CANARY-FROM-OUTSIDE"), "{}", shown);
    }
}
