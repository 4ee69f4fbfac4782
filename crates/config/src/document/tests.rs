//! Loading a whole configuration.

use std::collections::BTreeMap;
use std::env::VarError;
use std::io;

use serde::Deserialize;

use super::*;
use crate::values::{Duration, Secret};

/// Files and variables that exist only here.
struct Fake(BTreeMap<&'static str, String>);

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.0.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read_file(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(|text| text.clone().into_bytes()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn load(
    files: &[(&'static str, &str)],
    sets: &[&str],
    environment: Option<&str>,
) -> Result<Loaded, ConfigErrors> {
    let mut fake = Fake(files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect());
    fake.0.insert("HOST", "db".to_owned());
    let options = LoadOptions {
        files: files.iter().map(|(name, _)| PathBuf::from(name)).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        environment: environment.map(str::to_owned),
    };
    Document::load(&options, &fake)
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    assert_eq!(load(&[("t.yaml", text)], &[], None).unwrap_err().to_string(), expect);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    host: String,
    #[serde(default)]
    interval: Duration,
    #[serde(default)]
    password: Option<Secret>,
}

const BASE: &str = "
receivers:
  postgresql: {host: '${HOST}', interval: 10s}
  postgresql/b:
exporters:
  debug:
service:
  pipelines:
    metrics: {receivers: [postgresql, postgresql/b], exporters: [debug]}
";

#[test]
fn components_come_in_the_order_of_the_files() {
    let overlay = "receivers: {postgresql/b: {interval: 5s}, postgresql/a: {}}";
    let Loaded { document, warnings } = load(&[("a.yaml", BASE), ("b.yaml", overlay)], &[], None).unwrap();
    let ids: Vec<String> = document.components().map(Component::path).collect();
    assert_eq!(
        ids,
        ["receivers.postgresql", "receivers.postgresql/b", "receivers.postgresql/a", "exporters.debug"]
    );
    let receivers = document.section(Section::Receivers);
    assert_eq!(receivers[0].read::<Settings>().unwrap().host, "db");
    assert_eq!(receivers[1].read::<Settings>().unwrap().interval, Duration::from_secs(5));
    assert!(document.section(Section::Processors).is_empty() && warnings.is_empty());
}

#[test]
fn files_then_environment_then_sets_then_variables() {
    let files = [
        (
            "a.yaml",
            "receivers: {a: {host: '${NOPE}', environment_overrides: {production: {host: production}, staging: {host: '${NOPE}'}}}}",
        ),
        ("b.yaml", "receivers: {a: {host: b}}"),
    ];
    let host = |sets: &[&str], environment| {
        let document = load(&files, sets, environment).unwrap().document;
        document.section(Section::Receivers)[0].read::<Settings>().unwrap().host
    };
    assert_eq!(host(&[], None), "b");
    assert_eq!(host(&[], Some("production")), "production");
    assert_eq!(host(&["receivers.a.host=x"], Some("production")), "x");
    assert_eq!(host(&["receivers.a.host=x", "receivers.a.host=${HOST}"], None), "db");
    assert_eq!(
        load(&files, &[], Some("staging")).unwrap_err().to_string(),
        "a.yaml:1:106: receivers.a.host: environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`"
    );
}

#[test]
fn an_empty_file_wipes_nothing_and_an_empty_section_does() {
    let count = |overlay| {
        let document = load(&[("a.yaml", BASE), ("b.yaml", overlay)], &[], None).unwrap().document;
        document.components().count()
    };
    assert_eq!(count(""), 3);
    assert_eq!(count("receivers:"), 1);
}

#[test]
fn unknown_top_level_keys_are_errors() {
    check_error(
        "recievers: {}\nservice: {}\nfoo: 1\n",
        "t.yaml:1:1: recievers: unknown key; did you mean `receivers`? (valid keys: receivers, processors, exporters, connectors, extensions, service, environment_overrides)\n\
         t.yaml:3:1: foo: unknown key; valid keys: receivers, processors, exporters, connectors, extensions, service, environment_overrides",
    );
}

#[test]
fn connectors_are_answered() {
    assert!(load(&[("t.yaml", "connectors:\n")], &[], None).is_ok());
    assert!(load(&[("t.yaml", "connectors: {}\n")], &[], None).is_ok());
    check_error(
        "connectors: {forward: {}}",
        "t.yaml:1:1: connectors: dbintel has no connectors; name the receivers of one pipeline in the other",
    );
}

#[test]
fn ids_and_sections_are_checked() {
    check_error(
        "receivers: {1a: {}, b: {}}\nexporters: [debug]\n",
        "t.yaml:1:13: receivers: expected a component id whose type has letters, digits and `_`, such as otlphttp/backup, found `1a`\n\
         t.yaml:2:12: exporters: expected a map of exporters, found a list",
    );
}

#[test]
fn files_that_cannot_be_read_are_all_reported() {
    let options =
        LoadOptions { files: vec!["no.yaml".into(), "neither.yaml".into()], ..LoadOptions::default() };
    let error = Document::load(&options, &Fake(BTreeMap::new())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no.yaml: cannot read the file: entity not found\nneither.yaml: cannot read the file: entity not found"
    );
    check_error(
        "[a]",
        "t.yaml:1:1: expected a map of sections (receivers, processors, exporters, service), found a list",
    );
    let error = Document::load(&LoadOptions::default(), &Fake(BTreeMap::new())).unwrap_err();
    assert_eq!(error.to_string(), "no configuration file given; write --config dbintel.yaml");
}

#[test]
fn counts_are_bounded() {
    let options = LoadOptions { files: vec!["t.yaml".into(); FILES_MAX + 1], ..LoadOptions::default() };
    let error = Document::load(&options, &Fake(BTreeMap::new())).unwrap_err();
    assert_eq!(error.to_string(), "the number of --config exceeds the limit of 64 files");
    let sets = vec!["a=b".to_owned(); SETS_MAX + 1];
    let options = LoadOptions { files: vec!["t.yaml".into()], sets, environment: None };
    let error = Document::load(&options, &Fake(BTreeMap::new())).unwrap_err();
    assert_eq!(error.to_string(), "the number of --set exceeds the limit of 256 arguments");
}

#[test]
fn real_files_and_closures_work() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("dbintel.yaml");
    let secret = directory.path().join("password");
    std::fs::write(&secret, "CANARY\n").unwrap();
    std::fs::write(
        &config,
        format!("receivers:\n  a: {{host: '${{HOST}}', password: '${{file:{}}}'}}\n", secret.display()),
    )
    .unwrap();
    let options = LoadOptions { files: vec![config], ..LoadOptions::default() };
    let environment = |name: &str| (name == "HOST").then(|| "db".to_owned());
    let document = Document::load(&options, &environment).unwrap().document;
    let settings: Settings = document.section(Section::Receivers)[0].read().unwrap();
    assert_eq!((settings.host.as_str(), settings.password.unwrap().expose()), ("db", "CANARY"));
}

#[test]
fn problems_of_components_are_placed_and_scrubbed() {
    let text = "receivers:\n  a:\n    host: x\n    password: CANARY\n    top: {rows: 5}\n";
    let document = load(&[("t.yaml", text)], &[], None).unwrap().document;
    let component = &document.section(Section::Receivers)[0];
    let problem = |field: &str| component.problem(field, "is wrong with CANARY").to_string();
    assert_eq!(problem("top.rows"), "t.yaml:5:17: receivers.a.top.rows: is wrong with [redacted]");
    assert_eq!(problem("top.count"), "t.yaml:5:10: receivers.a.top.count: is wrong with [redacted]");
    assert_eq!(problem("other"), "t.yaml:2:3: receivers.a.other: is wrong with [redacted]");
    assert_eq!(problem(""), "t.yaml:2:3: receivers.a: is wrong with [redacted]");
    assert_eq!(component.warning("host", "odd").to_string(), "t.yaml:3:11: receivers.a.host: warning: odd");
}

#[test]
fn inline_secrets_are_warnings() {
    let text = "receivers:\n  token: {password: CANARY, api_key: '${HOST}', url: 'postgres://u:CANARY@db', other: x}\n\
                exporters:\n  otlp: {headers: {authorization: 'CANARY', x-tenant: 5}, tls: {key_file: /k}, secret: ''}\n";
    let warnings = load(&[("t.yaml", text)], &[], None).unwrap().warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let tail = "warning: a secret is written inline; write a reference, `${env:NAME}` or `${file:/path}`";
    assert_eq!(
        lines,
        [
            format!("t.yaml:2:21: receivers.token.password: {tail}"),
            format!("t.yaml:2:54: receivers.token.url: {tail}"),
            format!("t.yaml:4:35: exporters.otlp.headers.authorization: {tail}"),
        ]
    );
}

#[test]
fn debug_shows_no_values() {
    let text = "receivers:\n  a: {password: CANARY, url: CANARY, list: [CANARY]}\n";
    let loaded = load(&[("t.yaml", text)], &["receivers.a.x=CANARY"], None).unwrap();
    let options = LoadOptions { files: Vec::new(), sets: vec!["a=CANARY".to_owned()], environment: None };
    let debug = format!("{loaded:?} {:#?} {options:?}", loaded.document);
    assert!(!debug.contains("CANARY"), "{debug}");
    assert!(debug.contains("password") && debug.contains("t.yaml:2:17"), "{debug}");
}

/// What is missing comes with all else that is wrong, and nothing is wrong only because it is missing.
#[test]
fn errors_of_references_and_of_components_come_together() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[serde(rename = "interval")]
        _interval: Duration,
        #[serde(rename = "password")]
        _password: Option<Secret>,
    }
    let text = "receivers:\n  a: {interval: '${NOPE}', password: 'CANARY${NOPE}', foo: 1}\n  b: ${env:NOPE}\n  c: {interval: x}\n";
    let fake = Fake([("t.yaml", text.to_owned())].into());
    let options = LoadOptions { files: vec!["t.yaml".into()], ..LoadOptions::default() };
    let (Loaded { document, mut warnings }, mut errors) = Document::load_leniently(&options, &fake).unwrap();
    for component in document.components() {
        errors.keep(component.read_noting::<Strict>(&mut warnings));
    }
    let unset = "environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`";
    assert_eq!(
        errors.without_consequences().to_string(),
        format!(
            "t.yaml:2:17: receivers.a.interval: {unset}\n\
             t.yaml:2:38: receivers.a.password: {unset}\n\
             t.yaml:3:6: receivers.b: {unset}\n\
             t.yaml:2:55: receivers.a.foo: unknown key; valid keys: interval, password\n\
             t.yaml:4:17: receivers.c.interval: expected a duration such as 10s, found the text \"x\""
        )
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(!format!("{document:?}{}", document.to_yaml(&[])).contains("CANARY"));
}

#[test]
fn a_section_that_cannot_be_replaced_is_all_that_is_reported() {
    for (text, expect) in [
        ("receivers: ${env:NOPE}\nservice: {}\n", "receivers: environment variable `NOPE`"),
        ("receivers: {a: '${file:bad.yaml}'}\n", "bad.yaml:2:1: not valid YAML"),
    ] {
        let fake = Fake([("t.yaml", text.to_owned()), ("bad.yaml", "[".to_owned())].into());
        let options = LoadOptions { files: vec!["t.yaml".into()], ..LoadOptions::default() };
        let errors = Document::load_leniently(&options, &fake).unwrap_err();
        assert!(errors.0.len() == 1 && errors.to_string().contains(expect), "{errors}");
    }
}
