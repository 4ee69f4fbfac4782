//! SQL Server's operators in the words of the common tree.
//!
//! `docs/plan-fingerprint.md` has the table. An operator is known by its physical and its logical name together.

use crate::tree::{JoinType, Node, Operator};

/// Sets what the names of an operator say. False if the physical name is unknown.
pub(super) fn classify(node: &mut Node<'_>, physical: &str, logical: &str) -> bool {
    node.operator = match physical {
        "Hash Match" => hash_match(logical),
        "Merge Join" => merge_join(logical),
        "Stream Aggregate" => Operator::Aggregate,
        _ => match scan(physical).or_else(|| modification(physical)).or_else(|| other(physical)) {
            Some(operator) => operator,
            None => return false,
        },
    };
    node.join_type = join_type(logical).filter(|_| is_join(node.operator));
    node.strategy = strategy(physical, logical).map(Into::into);
    node.partial_mode = (logical == "Partial Aggregate").then_some("Partial".into());
    node.operation = match node.operator {
        Operator::ModifyTable => operation(logical).map(Into::into),
        Operator::SetOperation => Some("Union".into()),
        Operator::Exchange if physical == "Parallelism" => exchange(logical).map(Into::into),
        _ => None,
    };
    if physical == "Parallelism" && logical == "Gather Streams" {
        node.operator = Operator::Gather;
    }
    true
}

/// Sets what only the whole element says: lookups, columnstores, gathering in order. Viewers call a seek that completes rows
/// a key lookup, and so does the tree.
pub(super) fn refine(node: &mut Node<'_>, has_order: bool) {
    let is_lookup = node.extra("Lookup") == Some(&crate::tree::Scalar::Bool(true));
    let is_columnstore = node.extra_text("Storage") == Some("ColumnStore");
    match node.operator {
        Operator::IndexScan if is_lookup => {
            node.operator = Operator::KeyLookup;
            node.operator_name = "Key Lookup".into();
        }
        Operator::SeqScan | Operator::IndexScan | Operator::IndexFullScan if is_columnstore => {
            node.operator = Operator::ColumnStoreScan;
        }
        Operator::Gather if has_order => node.operator = Operator::GatherMerge,
        _ => {}
    }
    if node.operator == Operator::Aggregate && node.strategy.is_none() {
        let grouped = node.has_condition(crate::tree::ConditionKind::GroupKey);
        node.strategy = Some(if grouped { "Sorted" } else { "Plain" }.into());
    }
}

fn hash_match(logical: &str) -> Operator {
    match logical {
        "Aggregate" | "Partial Aggregate" => Operator::Aggregate,
        "Flow Distinct" | "Distinct" => Operator::Unique,
        "Union" => Operator::SetOperation,
        _ => Operator::HashJoin,
    }
}

fn merge_join(logical: &str) -> Operator {
    match logical {
        "Concatenation" => Operator::MergeAppend,
        "Union" => Operator::SetOperation,
        _ => Operator::MergeJoin,
    }
}

fn scan(physical: &str) -> Option<Operator> {
    Some(match physical {
        "Table Scan" | "Clustered Index Scan" => Operator::SeqScan,
        "Clustered Index Seek" => Operator::IndexScan,
        "Index Seek" => Operator::IndexOnlyScan,
        "Index Scan" => Operator::IndexFullScan,
        "Columnstore Index Scan" => Operator::ColumnStoreScan,
        "Key Lookup" => Operator::KeyLookup,
        "RID Lookup" => Operator::RidLookup,
        "Table-valued function" | "Table Valued Function" => Operator::FunctionScan,
        "Constant Scan" => Operator::Result,
        "Inserted Scan" | "Deleted Scan" | "Log Row Scan" | "Parameter Table Scan" => {
            Operator::NamedTuplestoreScan
        }
        "Remote Query" | "Remote Scan" | "Remote Index Scan" | "Remote Index Seek" | "External Select" => {
            Operator::ForeignScan
        }
        _ => return None,
    })
}

fn modification(physical: &str) -> Option<Operator> {
    let (object, verb) = physical.rsplit_once(' ')?;
    let changes = matches!(verb, "Insert" | "Update" | "Delete" | "Merge");
    let objects = ["Table", "Clustered Index", "Index", "Columnstore Index", "Online Index", "Remote"];
    (changes && objects.contains(&object)).then_some(Operator::ModifyTable)
}

fn other(physical: &str) -> Option<Operator> {
    Some(match physical {
        "Nested Loops" => Operator::NestedLoop,
        "Adaptive Join" => Operator::AdaptiveJoin,
        "Sort" => Operator::Sort,
        "Filter" => Operator::Filter,
        "Compute Scalar" => Operator::ComputeScalar,
        "Concatenation" => Operator::Append,
        "Top" => Operator::Limit,
        "Parallelism" => Operator::Exchange,
        "Table Spool" | "Row Count Spool" | "Window Spool" => Operator::Materialize,
        "Index Spool" => Operator::IndexSpool,
        "Sequence Project" | "Window Aggregate" => Operator::WindowAggregate,
        "Segment" => Operator::Segment,
        "Bitmap" | "Bitmap Create" => Operator::BitmapFilter,
        "Assert" => Operator::Assert,
        "Split" => Operator::Split,
        "Collapse" => Operator::Collapse,
        "Sequence" => Operator::Sequence,
        "Switch" => Operator::Switch,
        "Merge Interval" => Operator::MergeInterval,
        "Foreign Key References Check" => Operator::ForeignKeyCheck,
        "Batch Hash Table Build" => Operator::Hash,
        _ => return None,
    })
}

pub(super) const fn is_join(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::NestedLoop | Operator::HashJoin | Operator::MergeJoin | Operator::AdaptiveJoin
    )
}

fn join_type(logical: &str) -> Option<JoinType> {
    Some(match logical {
        "Inner Join" | "Cross Join" => JoinType::Inner,
        "Left Outer Join" => JoinType::Left,
        "Right Outer Join" => JoinType::Right,
        "Full Outer Join" => JoinType::Full,
        "Left Semi Join" => JoinType::Semi,
        "Left Anti Semi Join" => JoinType::Anti,
        "Right Semi Join" => JoinType::RightSemi,
        "Right Anti Semi Join" => JoinType::RightAnti,
        _ => JoinType::Other,
    })
}

fn strategy(physical: &str, logical: &str) -> Option<&'static str> {
    Some(match (physical, logical) {
        ("Hash Match", "Aggregate" | "Partial Aggregate" | "Flow Distinct" | "Distinct" | "Union") => {
            "Hashed"
        }
        ("Sort", "TopN Sort" | "Top N Sort") => "Top N",
        ("Sort", "Distinct Sort") => "Distinct",
        ("Row Count Spool", _) => "Row Count",
        ("Window Spool", _) => "Window",
        (_, "Eager Spool") => "Eager",
        (_, "Lazy Spool") => "Lazy",
        _ => return None,
    })
}

fn operation(logical: &str) -> Option<&'static str> {
    ["Insert", "Update", "Delete", "Merge"].into_iter().find(|verb| logical.ends_with(verb))
}

fn exchange(logical: &str) -> Option<&'static str> {
    ["Repartition", "Distribute"].into_iter().find(|word| logical.starts_with(word))
}
