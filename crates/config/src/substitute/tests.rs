//! What `${…}` becomes, where it came from, and what it says when it cannot.

use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::print::to_yaml;
use crate::read;

/// Variables and files that exist only here.
#[derive(Default)]
struct Fake {
    variables: BTreeMap<&'static str, String>,
    files: BTreeMap<&'static str, Vec<u8>>,
}

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "NOT_UNICODE" => Err(VarError::NotUnicode("CANARY".into())),
            _ => self.variables.get(name).cloned().ok_or(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let bytes = path.to_str().and_then(|path| self.files.get(path));
        bytes.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn fake() -> Fake {
    let variables = [
        ("HOST", "db"),
        ("PORT", "5432"),
        ("PASSWORD", "0123"),
        ("DOLLAR", "a$$b${HOST}"),
        ("LIST", "[a, b]"),
        ("MAP", "a: b"),
        ("BOOL", "true"),
        ("EMPTY", ""),
        ("TILDE", "~"),
        ("HASH", "# CANARY"),
        ("BROKEN", "{CANARY"),
        ("DIR", "/run"),
    ];
    let files: [(&str, &[u8]); 9] = [
        ("/run/pw", b"CANARY\n"),
        ("/run/crlf", b"CANARY\r\n"),
        ("/run/lines", b"one\ntwo\n\n"),
        ("/run/number", b"5\n"),
        ("/run/list", b"[a, b]\n"),
        ("/run/binary", b"\xff"),
        ("/run/part.yaml", b"endpoint: ${HOST}:1\nlist: ['$$', '${PORT}']\n"),
        ("/run/circle.yml", b"a: ${file:/run/circle.yml}\n"),
        ("/run/broken.yaml", b"a: b\n c: CANARY\n"),
    ];
    Fake {
        variables: variables.map(|(name, value)| (name, value.to_owned())).into(),
        files: files.map(|(path, bytes)| (path, bytes.to_vec())).into(),
    }
}

fn parse(text: &str) -> Node {
    parse::parse(&Arc::from(Path::new("t.yaml")), text).unwrap()
}

#[track_caller]
fn value_of(written: &str) -> Node {
    let (node, errors) = substitute(parse(&format!("k: {written}")), &fake());
    assert_eq!(errors.to_string(), "", "{written}");
    node.get("k").unwrap().clone()
}

/// What a setting without a type, and a setting of text, read.
#[track_caller]
fn check(written: &str, yaml: &str, text: &str) {
    let node = value_of(written);
    assert_eq!(to_yaml(&node).trim_end(), yaml, "{written}");
    assert_eq!(read::<String>(&node, "").unwrap(), text, "{written}");
}

#[track_caller]
fn check_error(written: &str, expect: &str) {
    let (_, errors) = substitute(parse(&format!("k: {written}")), &fake());
    assert_eq!(errors.to_string(), format!("t.yaml:1:4: k: {expect}"), "{written}");
}

#[test]
fn variables_are_replaced() {
    check("${env:HOST}", "db", "db");
    check("${HOST}", "db", "db");
    check("${env:HOST}:${env:PORT}", "db:5432", "db:5432");
    check("'${env:HOST}'", "db", "db");
    check("\"a ${HOST} b\"", "\"a db b\"", "a db b");
}

#[test]
fn one_reference_alone_is_read_as_yaml_and_kept_as_text() {
    check("${PORT}", "5432", "5432");
    check("'${PORT}'", "5432", "5432");
    check("${PASSWORD}", "0123", "0123");
    check("${BOOL}", "true", "true");
    check("${LIST}", "- a\n- b", "[a, b]");
    check("${MAP}", "a: b", "a: b");
    check("${EMPTY}", "null", "");
    assert_eq!(read::<u16>(&value_of("${PORT}"), "").unwrap(), 5432);
    assert_eq!(read::<Vec<String>>(&value_of("${LIST}"), "").unwrap(), ["a", "b"]);
    assert_eq!(read::<u64>(&value_of("${PASSWORD}"), "").unwrap(), 123);
    assert!(read::<bool>(&value_of("${BOOL}"), "").unwrap());
}

#[test]
fn text_of_which_yaml_makes_something_else_stays_text() {
    check("${HASH}", "\"# CANARY\"", "# CANARY");
    check("${BROKEN}", "\"{CANARY\"", "{CANARY");
    check("${TILDE}", "null", "~");
    assert_eq!(read::<Option<String>>(&value_of("${TILDE}"), "").unwrap().as_deref(), Some("~"));
    assert_eq!(read::<Option<String>>(&value_of("${HASH}"), "").unwrap().as_deref(), Some("# CANARY"));
    assert_eq!(read::<Option<String>>(&value_of("${EMPTY}"), "").unwrap(), None);
}

#[test]
fn text_around_a_reference_makes_text() {
    check("1${PORT}", "\"15432\"", "15432");
    check("x${LIST}", "\"x[a, b]\"", "x[a, b]");
}

#[test]
fn defaults_stand_in_for_unset_variables() {
    check("${env:NOPE:-x}", "x", "x");
    check("${NOPE:x}", "x", "x");
    check("${NOPE:-x}", "x", "x");
    check("${NOPE:--5}", "-5", "-5");
    check("${NOPE:2000}", "2000", "2000");
    check("${NOPE:}", "null", "");
    check("${NOPE:a:b}", "a:b", "a:b");
    check("'${NOPE:-{a: 1}}'", "a: 1", "{a: 1}");
    check("${HOST:x}", "db", "db");
    check("'${EMPTY:x}'", "null", "");
    check("${A:-${B:-${HOST}}}", "db", "db");
    check("${A:-x${B:-y}z}", "xyz", "xyz");
    check("${HOST:-${NOPE}}", "db", "db");
}

#[test]
fn dollars_are_doubled_or_stand_alone() {
    check("a$$b", "\"a$b\"", "a$b");
    check("$${HOST}", "\"${HOST}\"", "${HOST}");
    check("$$${HOST}", "\"$db\"", "$db");
    check("pa$word", "\"pa$word\"", "pa$word");
    check("$", "\"$\"", "$");
    check("$5", "\"$5\"", "$5");
}

#[test]
fn text_from_outside_is_final() {
    check("${DOLLAR}", "\"a$$b${HOST}\"", "a$$b${HOST}");
    check("x${DOLLAR}", "\"xa$$b${HOST}\"", "xa$$b${HOST}");
}

#[test]
fn files_are_read_without_their_last_newline() {
    check("${file:/run/pw}", "CANARY", "CANARY");
    check("${file:/run/crlf}", "CANARY", "CANARY");
    check("${file:/run/lines}", "\"one\\ntwo\\n\"", "one\ntwo\n");
    check("${file:/run/number}", "5", "5");
    check("${file:/run/list}", "\"[a, b]\"", "[a, b]");
    check("${file:${DIR}/pw}", "CANARY", "CANARY");
    check("Bearer ${file:/run/pw}", "\"Bearer CANARY\"", "Bearer CANARY");
}

#[test]
fn yaml_files_are_parts_of_the_configuration() {
    let node = value_of("${file:/run/part.yaml}");
    assert_eq!(to_yaml(&node), "endpoint: db:1\nlist:\n  - \"$\"\n  - 5432\n");
    assert_eq!(node.at("endpoint").unwrap().position().to_string(), "/run/part.yaml:1:11");
}

#[test]
fn the_origin_is_the_most_private_source() {
    let check = |written: &str, expect: Origin| assert_eq!(value_of(written).origin(), expect, "{written}");
    check("plain", Origin::Inline);
    check("a$$b", Origin::Inline);
    check("${NOPE:x}", Origin::Inline);
    check("${HOST}", Origin::Environment);
    check("x${HOST}", Origin::Environment);
    check("${file:/run/pw}", Origin::File);
    check("${HOST}${file:/run/pw}", Origin::File);
    check("${NOPE:-${file:/run/pw}}", Origin::File);
    assert_eq!(value_of("${LIST}").at("0").unwrap().origin(), Origin::Environment);
}

#[test]
fn a_missing_value_is_an_error_and_never_empty() {
    check_error(
        "${env:NOPE}",
        "environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`",
    );
    check_error(
        "x${A:-${NOPE}}",
        "environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`",
    );
    check_error("${env:NOT_UNICODE}", "environment variable `NOT_UNICODE` is not UTF-8 text");
    check_error("${file:/nope}", "cannot read the file of `${file:/nope}`: entity not found");
    check_error("${file:${DIR}/nope}", "cannot read the file of `${file:${DIR}/nope}`: entity not found");
    check_error("${file:/run/binary}", "the file of `${file:/run/binary}` is not UTF-8 text");
}

#[test]
fn what_is_no_reference_says_what_is_and_quotes_nothing() {
    let reference = "not a reference; write `${env:NAME}`, `${env:NAME:-default}`, `${file:/path}` or \
                     `${NAME:default}` (NAME in capitals), or `$${` for the text `${`";
    for written in ["${CANARYx}", "'${}'", "'${ HOST }'", "${canary:x}", "${1A}", "'a${b c}'", "${yaml}"] {
        check_error(written, reference);
    }
    check_error("'CANARY${HOST'", "`${` without its `}`; write `$${` for the text `${`");
    let name = "`${env:…}` takes a name of letters, digits and `_`, then nothing or `:-default`, as in \
                `${env:NAME:-default}`";
    for written in ["${env:}", "${env:A-B}", "${env:HOST:CANARY}", "${env:1A}"] {
        check_error(written, name);
    }
    check_error("'${file:}'", "`${file:…}` without a path; write `${file:/path}`");
    check_error(
        "'${yaml:CANARY}'",
        "`${yaml:…}` is not supported; dbintel knows `${env:NAME}`, `${env:NAME:-default}`, `${file:/path}` and \
         `${NAME:default}`",
    );
}

#[test]
fn limits_are_kept() {
    let nested = |levels: usize| format!("{}x{}", "${A:-".repeat(levels), "}".repeat(levels));
    check(&nested(SUBSTITUTION_DEPTH_MAX), "x", "x");
    check_error(&nested(SUBSTITUTION_DEPTH_MAX + 1), "more than 16 references inside each other");
    check_error(&"${HOST}".repeat(101), "more than 100 references in one value");
    let many: String = (0..=100).map(|key| format!("k{key}: \"{}\"\n", "${HOST}".repeat(100))).collect();
    let (_, errors) = substitute(parse(&many), &fake());
    assert_eq!(
        errors.to_string(),
        "t.yaml:101:7: k100: the number of `${…}` in the configuration exceeds the limit of 10000 references"
    );
    let mut fake = fake();
    fake.variables.insert("LONG", "x".repeat(SUBSTITUTED_BYTES_MAX / 2));
    let (_, errors) = substitute(parse("k: ${LONG}${LONG}x"), &fake);
    assert_eq!(
        errors.to_string(),
        "t.yaml:1:4: k: the value after substitution exceeds the limit of 1048576 bytes"
    );
    fake.files.insert("/long", vec![b'x'; FILE_BYTES_MAX + 1]);
    let (_, errors) = substitute(parse("k: ${file:/long}"), &fake);
    assert_eq!(
        errors.to_string(),
        "t.yaml:1:4: k: a file named by `${file:…}` exceeds the limit of 1048576 bytes"
    );
}

#[test]
fn files_that_include_each_other_end() {
    let (_, errors) = substitute(parse("k: ${file:/run/circle.yml}"), &fake());
    let path = format!("k{}", ".a".repeat(SUBSTITUTION_DEPTH_MAX));
    assert_eq!(
        errors.to_string(),
        format!("/run/circle.yml:1:4: {path}: more than 16 files that include each other")
    );
}

#[test]
fn an_error_in_an_included_file_is_placed_there() {
    let (_, errors) = substitute(parse("k: ${file:/run/broken.yaml}"), &fake());
    assert_eq!(
        errors.to_string(),
        "/run/broken.yaml:2:3: not valid YAML: mapping values are not allowed in this context"
    );
}

#[test]
fn all_errors_are_reported() {
    let (_, errors) = substitute(parse("a: ${A}\nb: [x, '${B}']\n"), &fake());
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("t.yaml:1:4: a: environment variable `A` is not set"));
    assert!(lines[1].starts_with("t.yaml:2:8: b.1: environment variable `B` is not set"));
}

#[test]
fn keys_are_not_substituted() {
    let (node, errors) = substitute(parse("${HOST}: 1"), &fake());
    assert!(errors.is_empty() && node.get("${HOST}").is_some());
}

#[test]
fn redacted_references_keep_no_literal_text() {
    let check =
        |text: &str, expect: &str| assert_eq!(Template::parse(text).unwrap().redacted(), expect, "{text}");
    check("${env:PW}", "${env:PW}");
    check("${env:PW:-CANARY}", "${env:PW:-[redacted]}");
    check("${PW:CANARY}", "${PW:-[redacted]}");
    check("${PW:}", "${PW:-}");
    check("CANARY${PW}CANARY", "[redacted]${PW}[redacted]");
    check("Bearer ${PW}", "Bearer ${PW}");
    check("${file:/run/${A:-b}/pw}", "${file:/run/${A:-[redacted]}/pw}");
    check("${A:-${B:-CANARY}}", "${A:-${B:-[redacted]}}");
}

proptest! {
    #[test]
    fn no_text_panics(text in r"([$]|[{]|[}]|env:|file:|HOST|NOPE|:|:-|-|x|/run/pw| |\n){0,40}") {
        let node = Node::new(Value::Scalar(Scalar::new(text, true)), Position::whole(Arc::from(Path::new("t"))));
        let _ = substitute(node, &fake());
    }

    #[test]
    fn doubling_dollars_protects_any_text(text in r"[$\{\}A-Z:a-z-]{0,20}") {
        let written = Scalar::new(text.replace('$', "$$"), true);
        let node = Node::new(Value::Scalar(written), Position::whole(Arc::from(Path::new("t"))));
        let (node, errors) = substitute(node, &fake());
        prop_assert!(errors.is_empty());
        prop_assert_eq!(node.text(), Some(text.as_str()));
    }

    #[test]
    fn a_variable_is_its_text_whatever_it_is(text in ".*") {
        let environment = |_: &str| Some(text.clone());
        let node = Node::new(Value::Scalar(Scalar::new("${X}", false)), Position::whole(Arc::from(Path::new("t"))));
        let (node, errors) = substitute(node, &environment);
        prop_assert!(errors.is_empty());
        prop_assert_eq!(read::<String>(&node, "").unwrap(), text);
    }
}
