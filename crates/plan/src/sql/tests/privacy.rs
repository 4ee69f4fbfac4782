//! Guarantees: no part of a literal or comment comes out, wherever the text is cut. This is the acceptance test
//! "truncated text at every byte of a literal".

use super::{super::invariants, masked};

/// Stands in for `{}` in the templates.
const CANARY: &str = "CANARY_7f3a";
/// Stands in for `{n}`.
const NUMBER: &str = "77351298";
/// No part of the canaries as long as these may come out.
const TRACES: [&str; 10] = ["CANA", "ANAR", "NARY", "ARY_", "RY_7", "Y_7f", "_7f3", "7f3a", "7735", "1298"];

const TEMPLATES: &[&str] = &[
    // Every form of literal.
    "SELECT '{}', b FROM t",
    "SELECT 'x''{}''{}', b FROM t",
    "SELECT E'\\'{}\\\\\\'{}', b FROM t",
    "SELECT e'{}\\x41{}' AS b",
    "SELECT B'{}', X'{}', N'{}', n'{}' FROM t",
    "SELECT U&'{}' UESCAPE 'x', U&'{}\\0061{}' FROM t",
    "SELECT $${}$$, $a${}$b${}$a$, $_é${}$_é$ FROM t",
    "SELECT $a${}$a{}$a$ FROM t",
    "SELECT $a$'{}$a$, '$a${}' FROM t",
    "SELECT '{}'\n'{}' --{}\n '{}' FROM t",
    "SELECT '{}' -- it's\n, '{}' FROM t",
    "SELECT {n}, -{n}, {n}.5, .{n}, {n}e5, 1e{n}, 0x{n}, {n}_000, {n}abc FROM t",
    "SELECT '{}é{}', E'é\\é{}', $é$é{}$é$",
    "SELECT 'a\\{}', b",
    // Every form of comment.
    "/* {} */ SELECT 1 -- {}",
    "SELECT 1 /* {} /* {} */ {} */, '{}' --{}\n, 2 --{}\r, '{}'",
    "SELECT 1 /*tag='{}',other='{}'*/",
    "SELECT a +/*{}*/ '{}' =--{}\n '{}'",
    // Quotes of one kind within another.
    "SELECT \"a'b\", '{}', \"c\"\"'d\", '{}\"{}'",
    "SELECT '--', '{}', '/*', '{}', $$'$$, '{}'",
    "SELECT a$b$, '{}', c FROM d$e$f WHERE $1 = '{}'",
    // Every position of a statement.
    "SELECT a ->> '{}', b ? '{}', c ?| array['{}', '{}'], d @> '{}'::jsonb, '{}'::uuid FROM t",
    "SELECT * FROM t WHERE a IN ('{}', '{}', {n}) AND b = ANY('{}') AND c LIKE '%{}%' ESCAPE '{}'",
    "SELECT * FROM t WHERE a BETWEEN '{}' AND '{}' LIMIT {n} OFFSET {n}",
    "INSERT INTO t (a, b) VALUES ('{}', {n}), ('{}', {n}) ON CONFLICT (a) DO UPDATE SET b = '{}' RETURNING '{}'",
    "UPDATE t SET a = '{}', b = {n} WHERE c = '{}'",
    "DELETE FROM t WHERE a = '{}' RETURNING E'{}'",
    "WITH a AS (SELECT '{}') SELECT CASE WHEN b = '{}' THEN '{}' ELSE {n} END FROM a",
    "SELECT date '{}', interval '{}' day, timestamp '{}' AT TIME ZONE '{}'",
    "SELECT f(a => '{}', b := '{}'), \"g\"('{}') FROM generate_series({n}, {n})",
    // Statements that carry secrets.
    "CREATE ROLE bob PASSWORD '{}' VALID UNTIL '{}'",
    "ALTER USER bob WITH ENCRYPTED PASSWORD '{}'",
    "CREATE USER MAPPING FOR bob SERVER s OPTIONS (user '{}', password '{}')",
    "CREATE SUBSCRIPTION s CONNECTION 'host={} password={}' PUBLICATION p",
    "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN '{}'; END $f$",
    "CREATE TABLE t (a text DEFAULT '{}', CHECK (a <> '{}')) PARTITION BY LIST (a)",
    "CREATE TABLE u PARTITION OF t FOR VALUES IN ('{}', {n})",
    "CREATE INDEX i ON t (a) WHERE b = '{}'",
    "DO $$ BEGIN PERFORM '{}'; END $$",
    "COPY (SELECT '{}') TO '{}' WITH (DELIMITER '{}')",
    "COMMENT ON TABLE t IS '{}'",
    "SET a.b = '{}'",
    "EXECUTE p('{}', {n})",
    "EXPLAIN (ANALYZE) EXECUTE p('{}', {n})",
    "NOTIFY c, '{}'",
    "SECURITY LABEL ON TABLE t IS '{}'",
    "COMMIT PREPARED '{}'",
    "SELECT 1; SELECT '{}'; SET a = '{}'; SELECT '{}",
];

#[test]
fn no_trace_of_a_literal_comes_out_wherever_the_text_is_cut() {
    for template in TEMPLATES {
        let text = template.replace("{}", CANARY).replace("{n}", NUMBER);
        for cut in 0..=text.len() {
            // PostgreSQL may cut inside a character.
            let cut_text = String::from_utf8_lossy(&text.as_bytes()[..cut]);
            check(&cut_text);
        }
        invariants::check(&text);
    }
}

/// A driver or a log may have lost the beginning instead; then only what PostgreSQL would not have taken for a
/// literal can be seen. What must hold is that nothing is lost of the promises for any text.
#[test]
fn a_text_without_its_beginning_keeps_the_promises() {
    for template in TEMPLATES {
        let text = template.replace("{}", CANARY);
        for start in (0..text.len()).filter(|start| text.is_char_boundary(*start)).step_by(3) {
            invariants::check(&text[start..]);
        }
    }
}

#[test]
fn bare_values_stay_inside() {
    for text in [
        "SET application_name = CANARY_7f3a",
        "ALTER SYSTEM SET a.b = CANARY_7f3a",
        "ALTER DATABASE d SET a.b TO CANARY_7f3a",
        "ALTER ROLE bob SET a.b = CANARY_7f3a",
        "CREATE FUNCTION f() RETURNS int SET a.b = CANARY_7f3a AS ''",
        "LISTEN CANARY_7f3a",
        "NOTIFY CANARY_7f3a",
        "SELECT 1; SET a.b = CANARY_7f3a",
        "SAVEPOINT CANARY_7f3a",
        "ROLLBACK TO \"CANARY_7f3a\"",
    ] {
        let masked = masked(text);
        let outside = format!("{:?} {}", masked.releasable_text(), masked.summary);
        assert!(!outside.contains("CANARY"), "{text}: {outside}");
    }
}

#[track_caller]
fn check(text: &str) {
    let masked = masked(text);
    for trace in TRACES {
        assert!(!masked.text.contains(trace), "{trace} of {text:?} in {masked:?}");
        assert!(!masked.summary.contains(trace), "{trace} of {text:?} in {masked:?}");
    }
}
