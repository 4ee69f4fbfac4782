//! Canonical forms, in a plan that joins `orders` (as `o`) to two partitions of `events` (as `e`) and to `orders` again.

use super::{Canonical, Names};
use crate::{Budget, parse_postgresql, tree::NodeId};

const PLAN: &str = r#"[{"Plan": {"Node Type": "Hash Join", "Plans": [
  {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "o"},
  {"Node Type": "Append", "Plans": [
    {"Node Type": "Seq Scan", "Relation Name": "events_2026_01", "Alias": "e_1"},
    {"Node Type": "Seq Scan", "Relation Name": "events_2026_02", "Alias": "e_2"}]},
  {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "Odd \"One\""}]}}]"#;

/// The canonical form of an expression at the root, or at the node with this index.
fn canonical(text: &str, node: u32) -> String {
    let plan = parse_postgresql(PLAN.as_bytes(), &mut Budget::unlimited()).plan;
    let names = Names::of(&plan);
    let mut out = Vec::new();
    Canonical::default().write(text, &names, names.source(NodeId(node)), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn forms() {
    let cases = [
        ("(id = 5)", "( id = ? )"),
        ("(id = $1)", "( id = ? )"),
        ("(id = '-5'::integer)", "( id = ? )"),
        ("(id > $0)", "( id > ? )"),
        ("(id > (InitPlan 2).col1)", "( id > ? )"),
        ("((name)::text = 'x'::text)", "( ( name ) :: text = ? )"),
        ("((name)::text = ($1)::text)", "( ( name ) :: text = ? )"),
        ("((name)::character varying(10) = $1)", "( ( name ) :: character varying ( ? ) = ? )"),
        ("(at > '2026-01-01 00:00:00+00'::timestamp with time zone)", "( at > ? )"),
        ("(at > '2026-01-01'::timestamp(3) without time zone)", "( at > ? )"),
        ("(id = ANY ('{1,2,3}'::integer[]))", "( id = ANY ( ? ) )"),
        ("(id = ANY ($1))", "( id = ANY ( ? ) )"),
        ("(id = ANY (ARRAY[$1, $2, $3]))", "( id = ANY ( ? ) )"),
        ("(name = ANY ((ARRAY[$1, $2])::text[]))", "( name = ANY ( ? ) )"),
        ("(name = ANY (ARRAY[($1)::text, ($2)::text]))", "( name = ANY ( ? ) )"),
        ("(id = ANY (ARRAY[other, $1]))", "( id = ANY ( ARRAY [ other , ? ] ) )"),
        ("(MYARRAY[$1] = 2)", "( MYARRAY [ ? ] = ? )"),
        ("(id = f(($1)::integer, ARRAY[$2], 3))", "( id = f ( ? ) )"),
        ("(id = f(1, 2))", "( id = f ( ? ) )"),
        ("((kind)::my.enum = 'a'::my.enum)", "( ( kind ) :: my . enum = ? )"),
        ("EXISTS(SubPlan 1)", "( SubPlan )"),
        ("(SubPlan 17)", "( SubPlan )"),
        ("(hashed SubPlan 2)", "( hashed SubPlan )"),
        ("(o.id = e.order_id)", "( orders . id = events . order_id )"),
        ("(e_1.id = e_2.id)", "( events . id = events . id )"),
        ("(o.id = \"Odd \"\"One\"\"\".parent)", "( orders . id = orders #2 . parent )"),
        ("(public.f(o.id) = 1)", "( public . f ( orders . id ) = ? )"),
        ("((o.row_of).id = 1)", "( ( orders . row_of ) . id = ? )"),
        ("o.at DESC NULLS LAST", "orders . at DESC NULLS LAST"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text, 0), expected, "{text}");
    }
}

#[test]
fn columns_of_the_node_itself_are_not_qualified() {
    assert_eq!(canonical("(o.id = e.order_id)", 1), "( id = events . order_id )");
    assert_eq!(canonical("(e_2.order_id = o.id)", 4), "( order_id = orders . id )");
}

#[test]
fn masking_changes_no_form() {
    for text in [
        "(a = 'x'::text)",
        "(a = ANY ('{1}'::int[]))",
        "f(1, 'a', $2)",
        "(a @> '{\"b\": 1}'::jsonb)",
        "(a ? 'b')",
    ] {
        let mut masked = String::new();
        crate::sql::mask_expression(text, &mut masked);
        assert_eq!(canonical(&masked, 0), canonical(text, 0), "{text}");
    }
}
