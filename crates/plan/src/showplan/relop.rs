//! The attributes of nodes and of what they do.

use std::borrow::Cow;

use super::{
    attribute::{Attribute, Rule},
    operator,
    qualifier::TableNames,
    tsql::unbracketed,
    value,
    xml::Tag,
};
use crate::{
    PlanProblems, ProblemKind,
    tree::{Extra, Node, Operator, Scalar, ScanDirection},
};

/// Takes the attributes of a `RelOp`.
pub(super) fn set_node<'a>(node: &mut Node<'a>, tag: &Tag<'a>, problems: &mut PlanProblems) {
    let (mut physical, mut logical) = (Cow::Borrowed(""), Cow::Borrowed(""));
    tag.attributes(problems, |attribute, text, problems| {
        let slot = match attribute {
            Attribute::PhysicalOp => return physical = text,
            Attribute::LogicalOp => return logical = text,
            Attribute::EstimateRows => &mut node.estimates.rows,
            Attribute::EstimatedTotalSubtreeCost => &mut node.estimates.total_cost,
            Attribute::AvgRowSize => &mut node.estimates.width_bytes,
            Attribute::Parallel => return node.parallel_aware = value::flag(&text) == Some(true),
            _ => return set_extra(node, attribute, &text, tag.at, problems),
        };
        *slot = value::number(&text);
        if slot.is_none() {
            problems.add(ProblemKind::UnexpectedType, tag.at);
        }
    });
    let known = value::is_word(&physical) && operator::classify(node, &physical, &logical);
    if !known {
        problems.add(ProblemKind::UnknownOperator, tag.at);
    }
    if physical == "Parallelism" && value::is_word(&logical) {
        // One physical operator for three things; all of them are parallel.
        node.operator_name = logical;
        node.parallel_aware = false;
    } else if value::is_word(&physical) {
        node.operator_name = physical;
    }
}

/// Takes the attributes of the element that says what a node does.
pub(super) fn set_operation<'a>(node: &mut Node<'a>, tag: &Tag<'a>, problems: &mut PlanProblems) {
    tag.attributes(problems, |attribute, text, problems| match attribute {
        Attribute::ScanDirection => {
            node.scan_direction = match &*text {
                "FORWARD" => Some(ScanDirection::Forward),
                "BACKWARD" => Some(ScanDirection::Backward),
                _ => None,
            };
        }
        Attribute::RemoteQuery => {
            let text = super::tsql::mask_statement(&text).into();
            node.conditions.push(crate::tree::Condition { kind: crate::tree::ConditionKind::Remote, text });
        }
        Attribute::Storage | Attribute::RemoteSource | Attribute::RemoteObject => {
            let name = attribute.as_str();
            node.extras.push(Extra { name, group: None, value: Scalar::Text(text) });
        }
        _ => set_extra(node, attribute, &text, tag.at, problems),
    });
}

/// Keeps a number or a boolean that says something: most booleans are false nearly always.
fn set_extra(node: &mut Node<'_>, attribute: Attribute, text: &str, at: usize, problems: &mut PlanProblems) {
    if attribute.property() != Rule::Plain {
        if attribute == Attribute::EstimatedExecutionMode && text == "Batch" {
            let value = Scalar::Text(Cow::Borrowed("Batch"));
            node.extras.push(Extra { name: attribute.as_str(), group: None, value });
        }
        return;
    }
    let value = if is_flag(attribute) {
        value::flag(text).map(Scalar::Bool)
    } else {
        value::number(text).map(Scalar::Number).or_else(|| value::flag(text).map(Scalar::Bool))
    };
    match value {
        Some(Scalar::Bool(false)) if attribute != Attribute::Ordered => {}
        Some(Scalar::Number(0.0)) => {}
        Some(value) => node.extras.push(Extra { name: attribute.as_str(), group: None, value }),
        None => problems.add(ProblemKind::UnexpectedType, at),
    }
}

const fn is_flag(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Ordered
            | Attribute::Lookup
            | Attribute::ForcedIndex
            | Attribute::ForceSeek
            | Attribute::ForceScan
            | Attribute::NoExpandHint
            | Attribute::DynamicSeek
            | Attribute::ManyToMany
            | Attribute::Optimized
            | Attribute::WithOrderedPrefetch
            | Attribute::WithUnorderedPrefetch
            | Attribute::BitmapCreator
            | Attribute::Distinct
            | Attribute::IsPercent
            | Attribute::WithTies
            | Attribute::IsAdaptive
            | Attribute::GroupExecuted
            | Attribute::Partitioned
            | Attribute::RemoteDataAccess
            | Attribute::Stack
            | Attribute::Remoting
            | Attribute::LocalParallelism
            | Attribute::InRow
            | Attribute::StartupExpression
            | Attribute::DmlRequestSort
    )
}

/// The names that an `Object` or a `ColumnReference` gives.
#[derive(Default)]
pub(super) struct Names<'a> {
    pub(super) table: TableNames<'a>,
    pub(super) index: Cow<'a, str>,
    pub(super) column: Cow<'a, str>,
}

/// Takes the names of an element.
pub(super) fn names<'a>(tag: &Tag<'a>, problems: &mut PlanProblems) -> Names<'a> {
    let mut names = Names::default();
    tag.attributes(problems, |attribute, text, _| {
        let slot = match attribute {
            Attribute::Database => &mut names.table.database,
            Attribute::Schema => &mut names.table.schema,
            Attribute::Table => &mut names.table.table,
            Attribute::Alias => &mut names.table.alias,
            Attribute::Index => &mut names.index,
            // The one name without brackets.
            Attribute::Column => return names.column = text,
            _ => return,
        };
        *slot = without_brackets(text);
    });
    names
}

fn without_brackets(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => unbracketed(text),
        Cow::Owned(text) => Cow::Owned(unbracketed(&text).into_owned()),
    }
}

/// A name, unless it is empty.
pub(super) fn some(name: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!name.is_empty()).then_some(name)
}

/// Sets what a node reads or changes. The first object is the one; further ones are indexes that change with it.
pub(super) fn set_object<'a>(node: &mut Node<'a>, names: Names<'a>, qualifier: String) {
    if node.relation.name.is_some() || node.source.is_some() {
        return;
    }
    let Names { table, index, .. } = names;
    node.relation.database = some(table.database);
    node.relation.schema = some(table.schema);
    node.index = some(index);
    if node.operator == Operator::FunctionScan {
        node.source = some(table.table);
        return;
    }
    node.relation.alias = (qualifier != *table.table).then_some(Cow::Owned(qualifier));
    node.relation.name = some(table.table);
}
