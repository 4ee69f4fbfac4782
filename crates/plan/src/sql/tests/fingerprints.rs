//! Guarantees: what a fingerprint does and does not depend on, and that its definition does not change.

use xxhash_rust::xxh3::xxh3_64;

use super::{
    super::{Fingerprint, ParseFingerprintError, invariants},
    masked,
};

const DEFINITION: &str = include_str!("../../../../../docs/masking.md");

#[track_caller]
fn same(texts: &[&str]) {
    let expected = masked(texts[0]).fingerprint;
    for text in texts {
        assert_eq!(masked(text).fingerprint, expected, "{text} is not {}", texts[0]);
        invariants::check(text);
    }
}

#[track_caller]
fn different(texts: &[&str]) {
    for (i, a) in texts.iter().enumerate() {
        for b in &texts[..i] {
            assert_ne!(masked(a).fingerprint, masked(b).fingerprint, "{a} is {b}");
        }
    }
}

/// The rows of the table in `docs/masking.md` are `| fingerprint | statement | normal form |`, each in backquotes.
#[test]
fn the_documented_vectors_hold() {
    let rows: Vec<Vec<&str>> = DEFINITION
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('`').skip(1).step_by(2).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 3 && cells[0].len() == 16)
        .collect();
    assert!(rows.len() >= 8, "the table is not where it was");
    for row in rows {
        let (fingerprint, statement, normal_form) = (row[0], row[1], row[2]);
        assert_eq!(masked(statement).fingerprint.to_string(), fingerprint, "{statement}");
        assert_eq!(format!("{:016x}", xxh3_64(normal_form.as_bytes())), fingerprint, "{normal_form}");
    }
}

#[test]
fn displayed_and_parsed() {
    let fingerprint = Fingerprint::from_u64(0x00ab_cdef_0123_4567);
    assert_eq!(fingerprint.to_string(), "00abcdef01234567");
    assert_eq!("00abcdef01234567".parse(), Ok(fingerprint));
    assert_eq!(fingerprint.as_u64(), 0x00ab_cdef_0123_4567);
    for text in ["", "abcdef01234567", "00ABCDEF01234567", "+0abcdef01234567", "00abcdef012345678"] {
        assert_eq!(text.parse::<Fingerprint>(), Err(ParseFingerprintError), "{text}");
    }
}

#[test]
fn not_on_spacing_comments_and_case() {
    same(&[
        "SELECT a, b FROM t WHERE a = 1",
        "select A,B from T where a=1",
        "/* x */ SELECT a , b\n\tFROM t -- y\nWHERE a/**/=/**/1 ;",
        "SELECT a,b FROM t WHERE a = 1;;",
    ]);
}

#[test]
fn not_on_values() {
    same(&["a = 1", "a = 'x'", "a = $1", "a = $27", "a = E'\\''", "a = $$x$$", "a = -5", "a = ?", "a = 1e5"]);
    same(&["a = 'x' LIMIT 10", "a = 'y' LIMIT 1"]);
}

#[test]
fn not_on_the_length_of_lists() {
    same(&[
        "a IN (1)",
        "a IN (1, 2)",
        "a IN ($1, $2, $3)",
        "a IN ($1 /*, ... */)",
        "a IN (NULL, 2)".replace("NULL", "1").as_str(),
    ]);
    same(&[
        "INSERT INTO t VALUES (1, 2)",
        "INSERT INTO t VALUES ($1, $2), ($3, $4)",
        "INSERT INTO t VALUES (1, 2), (3, NULL)",
    ]);
    same(&["a = ANY (ARRAY[1])", "a = ANY (ARRAY[1, 2])", "a = ANY (ARRAY[$1 /*, ... */])"]);
}

#[test]
fn not_on_quotes_that_make_no_difference() {
    same(&["SELECT foo", "SELECT \"foo\"", "SELECT FOO"]);
    same(&["SELECT a.größe", "SELECT \"a\".\"größe\""]);
    same(&["SELECT name, type, role FROM t", "SELECT \"name\", \"type\", \"role\" FROM t"]);
    same(&["SELECT a$1 FROM _t", "SELECT \"a$1\" FROM \"_t\""]);
    same(&["a != b", "a <> b"]);
    same(&["SAVEPOINT a", "SAVEPOINT b", "SAVEPOINT \"c d\""]);
}

#[test]
fn on_quotes_that_make_a_difference() {
    different(&["SELECT foo", "SELECT \"Foo\"", "SELECT \"FOO\"", "SELECT \"fo o\"", "SELECT \"fo\"\"o\""]);
    different(&["SELECT user", "SELECT \"user\""]);
    different(&["a left JOIN b", "a \"left\" JOIN b"]);
    different(&["a::char", "a::\"char\""]);
    different(&["SELECT current_timestamp", "SELECT \"current_timestamp\""]);
    different(&["SELECT a1", "SELECT \"1a\"", "SELECT \"$a\""]);
}

#[test]
fn on_everything_else() {
    different(&[
        "SELECT a FROM t WHERE b = 1",
        "SELECT a FROM t WHERE b <> 1",
        "SELECT a FROM t WHERE c = 1",
        "SELECT a FROM u WHERE b = 1",
        "SELECT b FROM t WHERE a = 1",
        "SELECT a FROM t WHERE 1 = b",
        "SELECT a FROM s.t WHERE b = 1",
        "SELECT a FROM t WHERE b = 1 AND c = 1",
        "SELECT a FROM t WHERE b IN (1)",
        "SELECT a FROM t WHERE b NOT IN (1)",
        "SELECT a FROM t WHERE b IS NULL",
        "SELECT a FROM t WHERE b IS TRUE",
        "SELECT a FROM t WHERE b = 1; SELECT 1",
        "SELECT ab FROM t WHERE b = 1",
        "SELECT a b FROM t WHERE b = 1",
        "SELECT a.b FROM t WHERE b = 1",
        "SELECT a, b FROM t WHERE b = 1",
    ]);
    different(&["f(1)", "f(1, 2)", "f((1, 2))", "f[1]"]);
    different(&["a - 1", "a + 1", "a + -b", "a - b"]);
    same(&["a + 1", "a + -1"]);
    different(&["VALUES (1)", "VALUES (1, 2)", "VALUES (a)", "VALUES (1), (a)"]);
    different(&["a IN (b)", "a IN (b, c)", "a IN (b, 1)", "a IN (1)"]);
    different(&["a -> 1", "a ->> 1", "a #> 1", "a ?| 1"]);
    different(&["a = b", "a = \"b c\"", "a = b c"]);
}

/// The end of the text may be missing from the masked text, but it counts.
#[test]
fn on_what_lies_beyond_the_limit_of_the_text() {
    let long = |end: &str| format!("SELECT {} FROM {end}", "column_name, ".repeat(1000));
    assert!(masked(&long("t")).truncated);
    assert_eq!(masked(&long("t")).text, masked(&long("u")).text);
    assert_ne!(masked(&long("t")).fingerprint, masked(&long("u")).fingerprint);
}
