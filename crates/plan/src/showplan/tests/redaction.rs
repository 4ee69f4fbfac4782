//! What leaves and what does not.

use proptest::prelude::*;

use super::{fixture, names, redact, with_values};
use crate::{invariants, showplan::tsql};

/// A text that is in no fixture.
const CANARY: &str = "zqCANARYqz";

#[test]
fn each_kind_of_value() {
    let cases = [
        (
            "ScalarOperator ScalarString=\"[a].[b]=N'bob' AND [c]=(5)\"",
            "ScalarOperator ScalarString=\"[a].[b]=? AND [c]=(?)\"",
        ),
        ("Const ConstValue=\"'bob'\"", "Const ConstValue=\"?\""),
        (
            "StmtSimple StatementText=\"SELECT 1 /* bob */ FROM t WHERE n = 'b&apos;&apos;b'\"",
            "StmtSimple StatementText=\"SELECT ? FROM t WHERE n = ?\"",
        ),
        (
            "StmtSimple StatementText=\"CREATE LOGIN bob WITH PASSWORD = 'x'\"",
            "StmtSimple StatementText=\"?\"",
        ),
        ("StmtSimple StatementText=\"SELECT 1 EXEC find bob\"", "StmtSimple StatementText=\"?\""),
        (
            "StmtSimple ParameterizedText=\"(@1 int)SELECT * FROM t WHERE a = @1\"",
            "StmtSimple ParameterizedText=\"(@1 int)SELECT * FROM t WHERE a = @1\"",
        ),
        (
            "ColumnReference Column=\"@p\" ParameterDataType=\"int\" ParameterCompiledValue=\"(7)\" ParameterRuntimeValue=\"(8)\"",
            "ColumnReference Column=\"@p\" ParameterDataType=\"int\" ParameterCompiledValue=\"?\" ParameterRuntimeValue=\"?\"",
        ),
        (
            "RemoteQuery RemoteQuery=\"SELECT a FROM t WHERE n = 'bob'\"",
            "RemoteQuery RemoteQuery=\"SELECT a FROM t WHERE n = ?\"",
        ),
        ("Object Table=\"[a &amp; b]\" New=\"bob\"", "Object Table=\"[a &amp; b]\""),
        ("RelOp EstimateRows=\"bob\" NodeId=\"1\"", "RelOp NodeId=\"1\""),
        ("QueryPlan NonParallelPlanReason=\"it's bob\"", "QueryPlan"),
        ("StmtSimple QueryHash=\"0x1G\" QueryPlanHash=\"0x1F\"", "StmtSimple QueryPlanHash=\"0x1F\""),
        ("StatisticsInfo LastUpdate=\"bob\"", "StatisticsInfo"),
        ("Identifier xmlns:x=\"bob\" xsi:nil=\"bob\"", "Identifier"),
    ];
    for (given, expected) in cases {
        let redacted = redact(&format!("<Batch><{given}/></Batch>"));
        assert!(redacted.contains(&format!("<{expected}/>")), "{given} became {redacted}");
    }
    assert!(!redact("<Batch>bob<!-- bob --><?bob bob?><![CDATA[bob]]><InternalInfo x=\"bob\"><Batch/></InternalInfo></Batch>").contains("bob"));
}

#[test]
fn statements_and_expressions_of_transact_sql() {
    let cases = [
        ("a='x''y'+N'z'", "a=?+?"),
        ("a=\"bob\" AND [b\"c]=1", "a=? AND [b\"c]=?"),
        ("a = 0xAB\\\nCD + $1.50 + .5 + 1e-3", "a = ? + ? + ? + ?"),
        ("/* /* nested */ bob */ a -- bob", "a"),
        ("a = 'never closed", "a = ?"),
        ("a = [never closed", "a = ?"),
        ("a = £12", "a = £?"),
        ("@p=@@rowcount", "@p=@@rowcount"),
        ("n'x'", "?"),
    ];
    for (text, expected) in cases {
        let mut masked = String::new();
        tsql::mask_expression(text, &mut masked);
        assert_eq!(masked, expected, "{text}");
    }
}

/// Found by fuzzing: what stood for such a character became a gap when it was read again.
#[test]
fn characters_that_xml_does_not_have() {
    let xml = "<StmtSimple StatementText=\"SELECT a \u{ffff} 'b' \u{1}&#1; c\"/>";
    invariants::showplan::check(xml.as_bytes());
    assert!(redact(xml).contains("\"SELECT a \u{fffd} ? c\""), "{}", redact(xml));
}

/// Found by fuzzing: the names of the redacted plan were others than those of the plan.
#[test]
fn a_name_with_such_characters_is_the_same_name_after_redaction() {
    let plan = fixture("2016_top_n_sort");
    for odd in ["\u{b}\u{b}", "&#xA;", "\t", "\u{ffff}", "\u{7f}"] {
        let plan = plan.replace("Table=\"[orders]\" Index", &format!("Table=\"[or{odd}ders]\" Index"));
        assert!(plan.contains(odd));
        invariants::showplan::check(plan.as_bytes());
    }
}

#[test]
fn no_value_of_any_fixture_leaves() {
    let values = [
        "'new'",
        "'NL'",
        "hello",
        "secret",
        "C-17",
        "O'Neil",
        "Neil",
        "$12.5",
        "2026-01-01",
        "'paid'",
        "(77)",
    ];
    for name in names() {
        let xml = fixture(&name);
        let redacted = redact(&xml);
        for value in values {
            assert!(!redacted.contains(value), "{value} in {name}: {redacted}");
        }
        let parsed = super::parse(&xml);
        let tree = format!("{parsed:?}");
        for value in values {
            assert!(!tree.contains(value), "{value} in the tree of {name}");
        }
    }
}

#[test]
fn what_breaks_off_is_closed() {
    assert_eq!(
        redact("<ShowPlanXML><Batch><RelOp NodeId=\"1\""),
        "<ShowPlanXML xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\"><Batch/></ShowPlanXML>"
    );
    let nothing = "<ShowPlanXML xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\"/>";
    for bytes in ["", "bob", "<bob/>", "<!DOCTYPE bob>"] {
        assert_eq!(redact(bytes), nothing, "{bytes}");
    }
}

#[test]
fn elements_keep_their_order_and_names() {
    let elements = |xml: &str| -> Vec<String> {
        xml.split('<')
            .skip(1)
            .map(|tag| tag.split([' ', '/', '>', '\n']).next().unwrap().to_owned())
            .filter(|name| !name.is_empty() && !name.starts_with('?'))
            .collect()
    };
    for name in names().into_iter().filter(|name| name != "2019_prefixed") {
        let xml = fixture(&name);
        assert_eq!(elements(&redact(&xml)), elements(&xml), "{name}");
    }
}

/// Attributes and the forms in which a value may stand in them.
fn literals() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("'{CANARY}'")),
        Just(format!("N'it''s {CANARY}'")),
        Just(format!("'{CANARY}")),
        Just(format!("\"{CANARY}\"")),
        Just(format!("/* {CANARY} */ 1")),
        Just(format!("1 -- {CANARY}")),
        Just(format!(" 0{CANARY}")),
    ]
}

proptest! {
    /// Wherever in any fixture a value may stand, it does not come out.
    #[test]
    fn no_canary_survives(at in any::<prop::sample::Index>(), literal in literals(), before in "[ a-z=(),.@#-]{0,12}") {
        let names = names();
        let name = &names[at.index(names.len())];
        let escaped = format!("SELECT {before}{literal}").replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        let mut xml = fixture(name);
        for attribute in ["StatementText", "ScalarString", "ConstValue", "ParameterCompiledValue", "ParameterRuntimeValue",
            "RemoteQuery", "Expression", "EstimateRows", "QueryHash", "LastUpdate", "Build"] {
            xml = with_values(&xml, attribute, &escaped);
        }
        xml = xml.replace("<RelOp ", &format!("<RelOp {CANARY}=\"{CANARY}\" ")).replace("<Object ", &format!("<{CANARY}/>{CANARY}<Object "));
        let redacted = redact(&xml);
        prop_assert!(!redacted.contains(CANARY), "{}", redacted);
        let parsed = super::parse(&xml);
        let mut plan = parsed.plan;
        let rendered = plan.render();
        prop_assert!(!rendered.contains(CANARY), "{}", rendered);
        plan.server_version = None;
        let tree = format!("{plan:?}");
        prop_assert!(!tree.contains(CANARY), "{}", tree);
    }

    /// A fixture with a piece cut out, doubled or overwritten keeps every promise.
    #[test]
    fn mutated_fixtures(at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), length in 0_usize..60,
        insert in "[<>/=\"'&;A-Za-z ]{0,8}", double in any::<bool>()) {
        let names = names();
        let xml = fixture(&names[at.index(names.len())]);
        let from = xml.floor_char_boundary(place.index(xml.len()));
        let to = xml.floor_char_boundary((from + length).min(xml.len())).max(from);
        let middle = if double { &xml[from..to] } else { "" };
        invariants::showplan::check(format!("{}{middle}{insert}{middle}{}", &xml[..from], &xml[to..]).as_bytes());
    }

    #[test]
    fn any_transact_sql(text in "[ a-cN'\"$?.:,()\\[\\]=<>+*/0-9E@#x\\\\-]{0,40}") {
        invariants::showplan::check_literals(&text);
    }

    #[test]
    fn any_characters(text in any::<String>()) {
        invariants::showplan::check_literals(&text);
    }
}
