//! Guarantees: the masked text of each construct of PostgreSQL's lexer, and of each construct that a peer got
//! wrong (`reference/database-facts.md`, 3.3).

use super::{
    super::{Problem, invariants},
    masked,
};

#[track_caller]
fn check(input: &str, expected: &str) {
    let masked = masked(input);
    assert_eq!(masked.text, expected);
    assert!(masked.problems.is_empty(), "{:?}", masked.problems);
    invariants::check(input);
}

#[track_caller]
fn check_problem(input: &str, expected: &str, problem: Problem) {
    let masked = masked(input);
    assert_eq!(masked.text, expected);
    assert_eq!(masked.problems.iter().collect::<Vec<_>>(), [problem]);
    invariants::check(input);
}

#[test]
fn plain_strings() {
    check("SELECT 'a'", "SELECT ?");
    check("SELECT ''", "SELECT ?");
    check("SELECT 'it''s'", "SELECT ?");
    check("SELECT ''''", "SELECT ?");
    check("SELECT 'é', 'ß''ß'", "SELECT ?, ?");
    check("SELECT 'a\nb -- c\n/* d */'", "SELECT ?");
    check("SELECT '\"', \"x'y\" FROM t", "SELECT ?, \"x'y\" FROM t");
    check("SELECT'a'AS b", "SELECT?AS b");
}

#[test]
fn a_backslash_is_not_an_escape_in_plain_strings() {
    check("SELECT 'C:\\dir', b", "SELECT ?, b");
    check_problem("SELECT 'C:\\', b", "SELECT ?, b", Problem::BackslashBeforeQuote);
    check_problem("x LIKE 'a' ESCAPE '\\' AND y", "x LIKE ? ESCAPE ? AND y", Problem::BackslashBeforeQuote);
}

#[test]
fn escape_strings() {
    check("SELECT E'a\\'b', c", "SELECT ?, c");
    check("SELECT e'a''b\\\\', c", "SELECT ?, c");
    check("SELECT E'\\\\\\'', c", "SELECT ?, c");
    check("SELECT E'\\xe9\\u00e9\\'', c", "SELECT ?, c");
    check("SELECT E'\\é', c", "SELECT ?, c");
    // Only a letter of its own is a prefix.
    check("SELECT typE'a'", "SELECT typE?");
    check("SELECT e 'a'", "SELECT e ?");
}

#[test]
fn prefixed_strings() {
    check("SELECT B'0101', b'1', X'1F', x'ff'", "SELECT ?, ?, ?, ?");
    check("SELECT N'abc', n'abc'", "SELECT ?, ?");
    check("SELECT U&'d\\0061t\\+000061'", "SELECT ?");
    check("SELECT u&'d!0061t' UESCAPE '!', b", "SELECT ? UESCAPE ?, b");
    check("SELECT date '2024-01-01' + interval '1 day'", "SELECT date ? + interval ?");
}

#[test]
fn strings_that_continue_on_the_next_line() {
    check("SELECT 'a'\n'b', c", "SELECT ?, c");
    check("SELECT 'a' \t\r\n  'b'\n'c'", "SELECT ?");
    check("SELECT 'a' -- 'x'\n 'b'", "SELECT ?");
    check("SELECT 'a' -- 'x'\n -- 'y'\n\n 'b', c", "SELECT ?, c");
    check("SELECT E'a'\n'b\\'c', d", "SELECT ?, d");
    // On the same line, or with a block comment between them, they are two.
    check("SELECT 'a' 'b'", "SELECT ? ?");
    check("SELECT 'a' /*\n*/ 'b'", "SELECT ? ?");
    // The next piece has no prefix of its own.
    check("SELECT 'a'\nE'b'", "SELECT ? ?");
}

#[test]
fn dollar_quotes() {
    check("SELECT $$it's$$", "SELECT ?");
    check("SELECT $a$ $b$ $$ $A$ $a$, c", "SELECT ?, c");
    check("SELECT $tag1$x$tag1$", "SELECT ?");
    check("SELECT $é$x$é$", "SELECT ?");
    check("SELECT $a$x$junk$a$, c", "SELECT ?, c");
    check("SELECT $_$$_$", "SELECT ?");
    // Inside an identifier a dollar is a letter, and a tag cannot begin with a digit.
    check("SELECT a$1$, b$c$d FROM t$t", "SELECT a$1$, b$c$d FROM t$t");
    check("SELECT $1$a$x$a$", "SELECT $1?");
    // Not valid anywhere: hidden, with the word.
    check("SELECT $tag, a $ b", "SELECT ?, a ? b");
}

#[test]
fn parameters_stay() {
    check("SELECT $1, $23", "SELECT $1, $23");
    check("SELECT $1::int+$2", "SELECT $1::int + $2");
    // More digits than a parameter can have are data.
    check("SELECT $12345, $4111111111111111", "SELECT $12345, ?");
}

#[test]
fn numbers() {
    check("SELECT 1, 23, 4.5, .5, 5., 1e5, 1E-5, 1.5e+10", "SELECT ?, ?, ?, ?, ?, ?, ?, ?");
    check("SELECT 1_000, 0x1F, 0XfF_ff, 0b101, 0o17, 1_0.0_1e1_0", "SELECT ?, ?, ?, ?, ?, ?");
    check("SELECT 1..10", "SELECT ?..?");
    check("SELECT a[1:2], a[1]", "SELECT a[?:?], a[?]");
    check("SELECT 0xE+1", "SELECT ? + ?");
    check("SELECT 1e", "SELECT ?");
    check("SELECT 1.5.3", "SELECT ? ?");
    check("SELECT 12ab34, 1a$b", "SELECT ?, ?");
    check("SELECT a1, _1, é1, a_1.b2", "SELECT a1, _1, é1, a_1.b2");
}

#[test]
fn a_sign_belongs_to_its_number() {
    check("SELECT -1, - 1, a-1, a - 1, (-1), a = -1", "SELECT ?, ?, a - ?, a - ?, (?), a = ?");
    check("SELECT f(x)-1, a[1]-1, 2-1, $1-1, \"a\"-1", "SELECT f(x) - ?, a[?] - ?, ? - ?, $1 - ?, \"a\" - ?");
    check("WHERE a BETWEEN -1 AND -2 LIMIT -3", "WHERE a BETWEEN ? AND ? LIMIT ?");
    check("CASE WHEN -1 THEN -2 ELSE -3 END-4", "CASE WHEN ? THEN ? ELSE ? END - ?");
    check("SELECT - /* c */ -- d\n 1", "SELECT ?");
    // Not a number, or bound to a cast first, as in PostgreSQL.
    check("SELECT -'1', -$1, -x, +1", "SELECT - ?, -$1, -x, + ?");
    check("SELECT -1::int, - 1 /* c */ ::int", "SELECT - ?::int, - ? ::int");
    check("SELECT t.select-1", "SELECT t.select - ?");
    check("SELECT @-5, 3*-5", "SELECT @- ?, ? * ?");
}

#[test]
fn keywords_for_values_stay() {
    check("WHERE a IS NULL AND b IS TRUE AND c = false", "WHERE a IS NULL AND b IS TRUE AND c = false");
}

#[test]
fn comments_vanish() {
    check("/* for bob@example.com */ SELECT 1 -- secret", "SELECT ?");
    check("SELECT a /*!x*/,/**/b--c\n,d --e\r,f", "SELECT a, b, d, f");
    check("SELECT /* a /* b */ c */ 1", "SELECT ?");
    check("SELECT /*/* '*/ \" */ 1, /***/ 2, /*//**/*/ 3", "SELECT ?, ?, ?");
    check("SELECT 1 /*controller='c',traceparent='00-1-2-01'*/;", "SELECT ?");
    check("SELECT/**/a/**/./**/b", "SELECT a . b");
    check("-- only\n/* comments */", "");
    check("SELECT 1 --", "SELECT ?");
    check("SELECT a*/b", "SELECT a */ b");
}

#[test]
fn white_space_becomes_one_space() {
    check("  SELECT\t\r\n a \u{b}\u{c} ,  b\n", "SELECT a, b");
    check("SELECT\0a\u{1}b\u{7f}c", "SELECT a b c");
    check("SELECT a\r\nFROM t -- x\r\nWHERE b", "SELECT a FROM t WHERE b");
    // PostgreSQL takes a no-break space for a letter.
    check("SELECT\u{a0}a", "SELECT\u{a0}a");
}

#[test]
fn operators() {
    check("a->'b'->>'c' #> '{d}' #>> '{e}'", "a -> ? ->> ? #> ? #>> ?");
    check("a ? 'b' AND c ?| d AND e ?& f", "a ? ? AND c ?| d AND e ?& f");
    check("a @? '$.b' AND a @@ 'c' AND a<@b AND a@>b", "a @? ? AND a @@ ? AND a <@ b AND a @> b");
    check("a ?- b, a ?-| b, a ?# b", "a ?- b, a ?-| b, a ?# b");
    check("'a'||'b'||c", "? || ? || c");
    check("a=-1, a=- b, a*-b, a<-b, a@-b", "a = ?, a = - b, a * -b, a < -b, a @- b");
    check("a+-+-b", "a + -+-b");
    check("a !~* 'b', a~'c', a <> 1, a != 1", "a !~* ?, a ~ ?, a <> ?, a != ?");
    check("f(a => 1, b := 2)", "f(a => ?, b := ?)");
    check("a::text[], 'b'::json", "a::text[], ?::json");
    check("count(*), t.*, * ", "count(*), t.*, *");
    check("a=--b\n1", "a = ?");
    check("a+/*b*/1", "a + ?");
    check("a operator(pg_catalog.+) b", "a operator(pg_catalog.+) b");
}

#[test]
fn identifiers() {
    check(
        "SELECT \"A b\", \"a\"\"b\", \"a'b\", \"--\", \"$1\"",
        "SELECT \"A b\", \"a\"\"b\", \"a'b\", \"--\", \"$1\"",
    );
    check("SELECT \"\"\"\"", "SELECT \"\"\"\"");
    check("SELECT U&\"d\\0061t\" UESCAPE '!', u&\"x\"", "SELECT U&\"d\\0061t\" UESCAPE ?, u&\"x\"");
    check("SELECT u & \"x\", u&x", "SELECT u & \"x\", u & x");
    check("SELECT größe, 日本, a$b", "SELECT größe, 日本, a$b");
    check("SELECT \"a\nb\u{1b}[0m\tc\"", "SELECT \"a b [0m c\"");
    check("SELECT \"a\".\"b\", a.\"B\"", "SELECT \"a\".\"b\", a.\"B\"");
}

#[test]
fn lists_of_values_collapse() {
    check("a IN (1)", "a IN (?)");
    check("a IN (1, 2, 3) AND b", "a IN (?) AND b");
    check("a NOT IN('x','y')", "a NOT IN(?)");
    check("a IN ( $1, $2 )", "a IN ($1)");
    check("a IN ($1 /*, ... */)", "a IN ($1)");
    check("a IN (1, $1, NULL, -5, true)", "a IN (?)");
    check("a IN ('x'::uuid, 'y'::uuid)", "a IN (?::uuid)");
    check("(a, b) IN ((1, 2), (3, NULL))", "(a, b) IN ((?, ?))");
    check("a IN (x, 1, 2, y, y)", "a IN (x, ?, y)");
    check("a = ANY(ARRAY[1, 2, 3])", "a = ANY(ARRAY[?])");
    check("ARRAY[[1, 2], [3, 4]]", "ARRAY[[?, ?]]");
    check("a IN (b + 1, 2) AND c IN (1, 2)", "a IN (b + ?, ?) AND c IN (?)");
    check("a IN ((b IN (1, 2)), (b IN (3)))", "a IN ((b IN (?)))");
}

#[test]
fn other_lists_keep_their_length() {
    check("f(1, 2)", "f(?, ?)");
    check("a IN (SELECT b, 1, 1, c, c FROM t)", "a IN (SELECT b, ?, ?, c, c FROM t)");
    check("a IN (WITH b AS (SELECT 1, 1) TABLE b)", "a IN (WITH b AS (SELECT ?, ?) TABLE b)");
    check("ROW(1, 2), (1, 2)", "ROW(?, ?), (?, ?)");
    check("t.in (1, 2), \"in\" (1, 2)", "t.in (?, ?), \"in\" (?, ?)");
}

#[test]
fn rows_of_values_collapse() {
    check("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES (?, ?)");
    check("INSERT INTO t VALUES (1, 'a'), (2, NULL) RETURNING a", "INSERT INTO t VALUES (?, ?) RETURNING a");
    check("VALUES (DEFAULT, 1),(now(), 2),(now(), 3), (1, 4)", "VALUES (DEFAULT, ?), (now(), ?)");
    check("VALUES ($1, now()), ($2, now())", "VALUES ($1, now())");
    check("VALUES (f(1)), (f(2)), (g(3))", "VALUES (f(?)), (g(?))");
    check("(VALUES (1), (2)) AS v, (VALUES (3), (4)) AS w", "(VALUES (?)) AS v, (VALUES (?)) AS w");
    check("a IN (VALUES (1), (2))", "a IN (VALUES (?))");
    check("VALUES (ARRAY[1, 2]), (ARRAY[3])", "VALUES (ARRAY[?])");
    check("VALUES (ARRAY[a]), (ARRAY[b])", "VALUES (ARRAY[a]), (ARRAY[b])");
    check("VALUES (1), (2), 3", "VALUES (?), ?");
}

#[test]
fn several_statements() {
    check("SELECT 1; SELECT 2", "SELECT ?; SELECT ?");
    check("SELECT 1 ;;\n; SELECT 2;", "SELECT ?; SELECT ?");
    check(";; SELECT 1", "SELECT ?");
    check("SELECT 1;-1", "SELECT ?; ?");
    check("a IN (1; a IN (2, 3)", "a IN (?; a IN (?)");
}

#[test]
fn savepoint_names_are_generated() {
    check("SAVEPOINT s140_x5", "SAVEPOINT ?");
    check("ROLLBACK TO SAVEPOINT \"s 1\"", "ROLLBACK TO SAVEPOINT ?");
    check("RELEASE sp", "RELEASE ?");
    check("ROLLBACK AND NO CHAIN", "ROLLBACK AND NO CHAIN");
}

#[test]
fn text_that_ends_too_early() {
    check_problem("SELECT 'abc", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT 'abc''", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT E'abc\\", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT E'abc\\'", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT 'a'\n'b", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT U&'b", "SELECT ?", Problem::UnterminatedLiteral);
    check_problem("SELECT \"abc", "SELECT ?", Problem::UnterminatedIdentifier);
    check_problem("SELECT \"abc\"\"", "SELECT ?", Problem::UnterminatedIdentifier);
    check_problem("SELECT $$abc$", "SELECT ?", Problem::UnterminatedDollarQuote);
    check_problem("SELECT $ab$abc$ab", "SELECT ?", Problem::UnterminatedDollarQuote);
    check_problem("SELECT $ab", "SELECT ?", Problem::UnterminatedDollarQuote);
    check_problem("SELECT $", "SELECT ?", Problem::UnterminatedDollarQuote);
    check_problem("SELECT 1 /* abc", "SELECT ?", Problem::UnterminatedComment);
    check_problem("SELECT 1 /* abc /* */ d", "SELECT ?", Problem::UnterminatedComment);
    check("SELECT 1 -- abc", "SELECT ?");
    check("SELECT 12", "SELECT ?");
}

#[test]
fn it_does_not_matter_where_a_list_is_cut() {
    for cut in ["a IN (1, 2, 3", "a IN (1, 2,", "a IN (1,", "a IN (1", "a IN (1, -", "a IN (1, N'"] {
        assert_eq!(masked(cut).text, "a IN (?", "{cut}");
    }
    for cut in ["VALUES (now(), 1), (now(), 2), (now(", "VALUES (now(), 1), (no", "VALUES (now(), 1),"] {
        assert_eq!(masked(cut).text, "VALUES (now(), ?)", "{cut}");
    }
    // What is left must read as the same list again.
    check("a IN (abc, ab, ab", "a IN (abc, ab, ab");
    check("a IN (b, , ", "a IN (b,,");
    check("a IN (1, (b IN (NULL, n", "a IN (?, (b IN (NULL");
}
