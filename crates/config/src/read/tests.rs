//! What serde types read from a tree, and what each error says.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::num::NonZeroU16;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::values::{ByteSize, ComponentId, Duration, Endpoint, Headers, Origin, Secret};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receiver {
    endpoint: Endpoint,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default = "ten_seconds")]
    collection_interval: Duration,
    #[serde(default)]
    databases: Vec<String>,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    headers: Headers,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    insecure: bool,
    min_version: TlsVersion,
    max_size: ByteSize,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    priority: u8,
    action: Action,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Keep,
    Sample(f64),
    Limit { per_minute: NonZeroU16 },
    Between(u8, u8),
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn node(yaml: &str) -> Node {
    crate::parse::parse(&Arc::from(FilePath::new("t.yaml")), yaml).unwrap()
}

/// A tree after substitution; every variable is set to the text CANARY.
fn substituted(yaml: &str, text: &str) -> Node {
    let environment = |_: &str| Some(text.to_owned());
    let (node, errors) = crate::substitute::substitute(node(yaml), &environment);
    assert!(errors.is_empty(), "{errors}");
    node
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "a table of expectations reads better without `&`")]
fn check<T: DeserializeOwned + Debug + PartialEq>(yaml: &str, expect: T) {
    assert_eq!(read::<T>(&node(yaml), "").unwrap(), expect, "{yaml}");
}

#[track_caller]
fn check_error<T: DeserializeOwned + Debug>(yaml: &str, expect: &str) {
    let error = read::<T>(&node(yaml), "receivers.postgresql").unwrap_err();
    assert_eq!(error.to_string(), expect, "{yaml}");
}

#[test]
fn numbers_and_booleans_are_text_where_text_is_wanted() {
    check("1.10", "1.10".to_owned());
    check("007", "007".to_owned());
    check("true", "true".to_owned());
    check("[1, x, 0x1F]", vec!["1".to_owned(), "x".to_owned(), "0x1F".to_owned()]);
    check("{a: 5}", BTreeMap::from([("a".to_owned(), "5".to_owned())]));
}

#[test]
fn text_is_no_number_and_no_boolean() {
    check_error::<u16>(
        "'5'",
        "t.yaml:1:1: receivers.postgresql: expected a whole number from 0 to 65535, found the text \"5\"",
    );
    check_error::<bool>(
        "yes",
        "t.yaml:1:1: receivers.postgresql: expected true or false, found the text \"yes\"",
    );
    check_error::<bool>("1", "t.yaml:1:1: receivers.postgresql: expected true or false, found the number 1");
    check_error::<f64>("x", "t.yaml:1:1: receivers.postgresql: expected a number, found the text \"x\"");
}

#[test]
fn numbers_are_in_range() {
    check("65535", u16::MAX);
    check("-5", -5_i8);
    check("5", 5.0_f64);
    check("0x10", 16_u8);
    check_error::<u16>(
        "70000",
        "t.yaml:1:1: receivers.postgresql: expected a whole number from 0 to 65535, found the number 70000",
    );
    check_error::<u64>(
        "-1",
        "t.yaml:1:1: receivers.postgresql: expected a whole number, 0 or more, found the number -1",
    );
    check_error::<u64>(
        "1.5",
        "t.yaml:1:1: receivers.postgresql: expected a whole number, 0 or more, found the number 1.5",
    );
    check_error::<NonZeroU16>(
        "0",
        "t.yaml:1:1: receivers.postgresql: expected a whole number from 1 to 65535, found the number 0",
    );
}

#[test]
fn nothing_is_absent_or_empty() {
    check::<Option<u8>>("~", None);
    check("", Vec::<u8>::new());
    check("", BTreeMap::<String, u8>::new());
    check("", Tls::default());
    check("{insecure: true}", Tls { insecure: true, ..Tls::default() });
    check("", ());
    check_error::<u8>(
        "",
        "t.yaml:1:1: receivers.postgresql: expected a whole number from 0 to 255, found nothing",
    );
    check_error::<String>("", "t.yaml:1:1: receivers.postgresql: expected text, found nothing");
}

#[test]
fn enums_are_names_or_maps_of_one_name() {
    check("keep", Action::Keep);
    check("keep:", Action::Keep);
    check("keep: {}", Action::Keep);
    check("sample: 0.5", Action::Sample(0.5));
    check("limit: {per_minute: 3}", Action::Limit { per_minute: NonZeroU16::new(3).unwrap() });
    check("between: [1, 2]", Action::Between(1, 2));
    check("1.3", TlsVersion::V13);
    let at = "t.yaml:1:1: receivers.postgresql:";
    check_error::<Action>(
        "kep",
        &format!(
            "{at} unknown value `kep`; did you mean `keep`? (valid values: keep, sample, limit, between)"
        ),
    );
    check_error::<Action>(
        "[keep]",
        &format!("{at} expected one of keep, sample, limit, between, found the list [...]"),
    );
    check_error::<Action>(
        "{keep: , sample: 1}",
        &format!("{at} expected one of keep, sample, limit, between, found the map {{...}}"),
    );
    check_error::<Action>(
        "sample",
        &format!("{at} expected a map with this name and its settings, found a name without settings"),
    );
    check_error::<Action>(
        "keep: 5",
        "t.yaml:1:7: receivers.postgresql.keep: expected nothing, found the number 5",
    );
    check_error::<Action>(
        "between: [1]",
        "t.yaml:1:1: receivers.postgresql.between: expected a list, found 1 items",
    );
    check_error::<Action>(
        "between: [1, 2, 3]",
        "t.yaml:1:1: receivers.postgresql.between: expected a shorter list, found 3 items",
    );
    check_error::<Action>(
        "smple: 1",
        "t.yaml:1:1: receivers.postgresql.smple: unknown value `smple`; did you mean `sample`? (valid values: keep, sample, limit, between)",
    );
    check_error::<TlsVersion>(
        "1.4",
        &format!("{at} unknown value `1.4`; did you mean `1.2`? (valid values: 1.2, 1.3)"),
    );
}

#[test]
fn an_unknown_key_has_a_suggestion() {
    check_error::<Receiver>(
        "endpoint: db:1\ncolection_interval: 5s\n",
        "t.yaml:2:1: receivers.postgresql.colection_interval: unknown key; did you mean `collection_interval`? \
         (valid keys: endpoint, username, password, collection_interval, databases, tls, rules, headers)",
    );
    check_error::<Receiver>(
        "endpoint: db:1\ntls:\n  zzz: 1\n",
        "t.yaml:3:3: receivers.postgresql.tls.zzz: unknown key; valid keys: insecure, min_version, max_size",
    );
}

#[test]
fn a_missing_key_is_placed_at_the_map() {
    check_error::<Receiver>("username: x", "t.yaml:1:1: receivers.postgresql: missing key `endpoint`");
    check_error::<Receiver>(
        "endpoint: db:1\nrules:\n  - name: a\n    priority: 1\n",
        "t.yaml:3:5: receivers.postgresql.rules.0: missing key `action`",
    );
}

#[test]
fn the_misspelling_of_a_required_key_is_one_error() {
    check_error::<Rule>(
        "nam: a\npriority: 1\naction: keep\n",
        "t.yaml:1:1: receivers.postgresql.nam: unknown key; did you mean `name`? (valid keys: name, priority, action)",
    );
}

#[test]
fn all_errors_of_a_component_are_reported() {
    check_error::<Receiver>(
        "endpoint: db\nusernme: x\ncollection_interval: [1]\ntls: {insecure: maybe, min_version: 1.2}\nrules:\n  - {name: a, priority: 300, action: keep}\n  - {name: b, priority: 1, action: kep}\n",
        "t.yaml:1:11: receivers.postgresql.endpoint: expected an endpoint with a port from 0 to 65535, such as localhost:5432, found the text \"db\"\n\
         t.yaml:2:1: receivers.postgresql.usernme: unknown key; did you mean `username`? (valid keys: endpoint, username, password, collection_interval, databases, tls, rules, headers)\n\
         t.yaml:3:1: receivers.postgresql.collection_interval: expected a duration such as 10s, found the list [...]\n\
         t.yaml:4:17: receivers.postgresql.tls.insecure: expected true or false, found the text \"maybe\"\n\
         t.yaml:6:25: receivers.postgresql.rules.0.priority: expected a whole number from 0 to 255, found the number 300\n\
         t.yaml:7:36: receivers.postgresql.rules.1.action: unknown value `kep`; did you mean `keep`? (valid values: keep, sample, limit, between)",
    );
}

#[test]
fn errors_of_one_component_are_bounded() {
    let yaml: String = (0..40).map(|key| format!("unknown{key}: 1\n")).collect();
    let errors = read::<Tls>(&node(&yaml), "").unwrap_err();
    assert_eq!(errors.0.len(), ERRORS_PER_COMPONENT_MAX);
}

#[test]
fn long_values_are_shortened() {
    let text = "ü".repeat(50);
    let shown = "ü".repeat(40);
    check_error::<Duration>(
        &text,
        &format!(
            "t.yaml:1:1: receivers.postgresql: expected a duration such as 10s, found the text \"{shown}…\""
        ),
    );
}

#[test]
fn keys_of_maps_are_checked() {
    check_error::<BTreeMap<ComponentId, u8>>(
        "a b: 1",
        "t.yaml:1:1: receivers.postgresql.a b: expected a component id whose type has letters, digits and `_`, such as otlphttp/backup, found the text \"a b\"",
    );
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    endpoint: Endpoint,
    #[serde(flatten)]
    common: Common,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Common {
    timeout: Duration,
    #[serde(default)]
    retries: u8,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    token: Option<Secret>,
}

#[test]
fn flattened_structs_read() {
    let flat: Flat =
        read(&node("{endpoint: 'db:1', timeout: 5s, retries: 3, version: 007, token: abc}"), "").unwrap();
    assert_eq!(flat.common.timeout, Duration::from_secs(5));
    assert_eq!((flat.common.retries, flat.common.version.as_deref()), (3, Some("007")));
    assert_eq!(flat.common.token.unwrap().expose(), "abc");
}

#[test]
fn errors_in_flattened_structs_name_the_map_or_the_key() {
    check_error::<Flat>(
        "{endpoint: 'db:1', timeot: 5s, timeout: 1s}",
        "t.yaml:1:20: receivers.postgresql.timeot: unknown key",
    );
    check_error::<Flat>("{endpoint: 'db:1'}", "t.yaml:1:1: receivers.postgresql: missing key `timeout`");
    check_error::<Flat>(
        "{endpoint: 'db:1', timeout: x}",
        "t.yaml:1:1: receivers.postgresql: expected a duration such as 10s, found the text \"x\"",
    );
    check_error::<Flat>(
        "{endpoint: 'db', timeout: 1s}",
        "t.yaml:1:12: receivers.postgresql.endpoint: expected an endpoint with a port from 0 to 65535, such as localhost:5432, found the text \"db\"",
    );
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Limit {
    Count(u32),
    Named { name: String },
    Text(String),
}

#[test]
fn untagged_enums_read() {
    check("5", Limit::Count(5));
    check("{name: x}", Limit::Named { name: "x".to_owned() });
    check("007", Limit::Text("007".to_owned()));
    check("x", Limit::Text("x".to_owned()));
    check_error::<Limit>(
        "[1]",
        "t.yaml:1:1: receivers.postgresql: data did not match any variant of untagged enum Limit",
    );
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Tagged {
    File { path: String },
    Memory,
}

#[test]
fn internally_tagged_enums_read() {
    check("{type: file, path: /x}", Tagged::File { path: "/x".to_owned() });
    check("type: memory", Tagged::Memory);
    check_error::<Tagged>(
        "type: fil",
        "t.yaml:1:7: receivers.postgresql.type: unknown value `fil`; did you mean `file`? (valid values: file, memory)",
    );
}

#[test]
fn json_values_read() {
    check("{a: [1, -1, 1.5, x, true, ~, '5', 007]}", json!({"a": [1, -1, 1.5, "x", true, null, "5", "007"]}));
}

#[test]
fn secrets_know_their_origin() {
    let origin = |yaml: &str| read::<Secret>(&substituted(yaml, "CANARY"), "").unwrap().origin();
    assert_eq!(origin("CANARY"), Origin::Inline);
    assert_eq!(origin("${PW}"), Origin::Environment);
    let secret: Secret = read(&substituted("${PW}", "0123"), "").unwrap();
    assert_eq!(secret.expose(), "0123");
    let map: Headers = read(&substituted("{Authorization: 'Bearer ${PW}'}", "CANARY"), "").unwrap();
    let authorization = map.get("authorization").unwrap();
    assert_eq!((authorization.expose(), authorization.origin()), ("Bearer CANARY", Origin::Environment));
}

#[test]
fn inline_secrets_are_noted() {
    let node = node("endpoint: db:1\npassword: CANARY\nheaders: {x-id: CANARY}\n");
    let mut warnings = Warnings::default();
    read_noting::<Receiver>(&node, "receivers.postgresql", None, &mut warnings).unwrap();
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let tail = "warning: a secret is written inline; write a reference, `${env:NAME}` or `${file:/path}`";
    assert_eq!(
        lines,
        [
            format!("t.yaml:2:11: receivers.postgresql.password: {tail}"),
            format!("t.yaml:3:17: receivers.postgresql.headers.x-id: {tail}"),
        ]
    );
}

/// The error of a `Receiver` in which every variable is CANARY.
#[track_caller]
fn check_hidden<T: DeserializeOwned + Debug>(yaml: &str, expect: &str) {
    let node = substituted(yaml, "CANARY");
    let error = read::<T>(&node, "receivers.postgresql").unwrap_err();
    assert_eq!(error.to_string(), expect, "{yaml}");
    assert!(!format!("{error:?}").contains("CANARY"));
}

#[test]
fn errors_do_not_show_what_may_be_secret() {
    check_hidden::<Receiver>(
        "endpoint: ${PGHOST}",
        "t.yaml:1:11: receivers.postgresql.endpoint: expected an endpoint with a port from 0 to 65535, such as localhost:5432, found [redacted] from `${PGHOST}`",
    );
    check_hidden::<Receiver>(
        "endpoint: db:1\npassword: [CANARY]",
        "t.yaml:2:1: receivers.postgresql.password: expected a secret text, found the list [...]",
    );
    check_hidden::<Receiver>(
        "endpoint: db:1\nheaders: {api-key: [CANARY]}",
        "t.yaml:2:11: receivers.postgresql.headers.api-key: expected a secret text, found the list [...]",
    );
    check_hidden::<Receiver>(
        "endpoint: db:1\nheaders: CANARY",
        "t.yaml:2:10: receivers.postgresql.headers: expected a map of header names to values, found text",
    );
    check_hidden::<Receiver>(
        "endpoint: postgres://u:CANARY@db",
        "t.yaml:1:11: receivers.postgresql.endpoint: expected an endpoint without a scheme or path, such as localhost:5432, found [redacted]",
    );
    check_hidden::<Tls>(
        "min_version: ${V}",
        "t.yaml:1:14: receivers.postgresql.min_version: unknown value [redacted] from `${V}`; valid values: 1.2, 1.3",
    );
    check_hidden::<Tls>(
        "insecure: ${V:-CANARY}x",
        "t.yaml:1:11: receivers.postgresql.insecure: expected true or false, found [redacted] from `${V:-[redacted]}[redacted]`",
    );
    check_hidden::<BTreeMap<String, u8>>(
        "{api_key: CANARY, secret: CANARY, x: 1}",
        "t.yaml:1:11: receivers.postgresql.api_key: expected a whole number from 0 to 255, found [redacted]\n\
         t.yaml:1:27: receivers.postgresql.secret: expected a whole number from 0 to 255, found [redacted]",
    );
    check_hidden::<Flat>(
        "{endpoint: 'db:1', timeout: '${T}'}",
        "t.yaml:1:1: receivers.postgresql: expected a duration such as 10s, found the text \"[redacted]\"",
    );
}

#[test]
fn keys_from_the_environment_are_not_shown() {
    let node = substituted("tls: ${TLS}", "{CANARY: 1}");
    let error = read::<BTreeMap<String, Tls>>(&node, "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.yaml:1:6: tls.[redacted]: unknown key; valid keys: insecure, min_version, max_size"
    );
}

/// A type that quotes what it refuses, as types of others do.
#[derive(Debug)]
struct Chatty;

impl<'de> Deserialize<'de> for Chatty {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("cannot use {text:?}")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
struct ChattyMap;

impl TryFrom<BTreeMap<String, String>> for ChattyMap {
    type Error = String;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, String> {
        Err(format!("cannot use {map:?}"))
    }
}

#[test]
fn messages_of_other_types_are_shown_unless_the_value_is_hidden() {
    check_error::<Chatty>("x", "t.yaml:1:1: receivers.postgresql: cannot use \"x\"");
    check_hidden::<Chatty>(
        "${X}",
        "t.yaml:1:1: receivers.postgresql: the value is not valid ([redacted] from `${X}`)",
    );
    check_hidden::<ChattyMap>(
        "{user: u, password: CANARY, host: '${X}'}",
        "t.yaml:1:1: receivers.postgresql: cannot use {\"host\": \"[redacted]\", \"password\": \"[redacted]\", \"user\": \"u\"}",
    );
}

fn any_yaml() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z0-9.:~-]{0,6}",
        Just("true".to_owned()),
        Just("5".to_owned()),
        Just("10s".to_owned())
    ];
    leaf.prop_map(|text| format!("'{text}'")).prop_recursive(3, 16, 3, |inner| {
        let key = prop::sample::select(vec![
            "endpoint",
            "username",
            "password",
            "collection_interval",
            "databases",
            "tls",
            "rules",
            "headers",
            "name",
            "priority",
            "action",
            "insecure",
            "min_version",
            "sample",
            "x",
        ]);
        let map = prop::collection::btree_map(key, inner.clone(), 0..4).prop_map(|map| {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", entries.join(", "))
        });
        let seq = prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", ")));
        prop_oneof![map, seq]
    })
}

proptest! {
    #[test]
    fn no_tree_panics_and_errors_are_never_empty(yaml in any_yaml()) {
        if let Err(errors) = read::<Receiver>(&node(&yaml), "p") {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.path().starts_with('p') && error.position().is_some()));
        }
        let _ = read::<Flat>(&node(&yaml), "p");
        let _ = read::<Limit>(&node(&yaml), "p");
        let _ = read::<Tagged>(&node(&yaml), "p");
        prop_assert!(read::<serde_json::Value>(&node(&yaml), "p").is_ok());
    }
}
