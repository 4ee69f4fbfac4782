//! Reads what a node does: its object, conditions and keys.

use super::{
    attribute::Attribute, batch::MAX_LISTED, condition, element::Element, operator, parse::Parser, relop,
    value, xml::Tag,
};
use crate::{
    ProblemKind,
    tree::{Condition, ConditionKind, NodeId, Operator},
};

impl<'a> Parser<'a, '_> {
    pub(super) fn part_of_operation(
        &mut self,
        id: NodeId,
        element: Element,
        tag: &Tag<'a>,
    ) -> Result<(), ProblemKind> {
        let operator = self.plan.node(id).map_or(Operator::Other, |node| node.operator);
        match element {
            Element::Object => {
                let names = relop::names(tag, &mut self.problems);
                let qualifier = self.qualifiers.of(&names.table).into_owned();
                if let Some(node) = self.plan.nodes.get_mut(id.index()) {
                    relop::set_object(node, names, qualifier);
                }
                self.xml.skip()
            }
            Element::Predicate if operator == Operator::NestedLoop => self.condition(id, ConditionKind::Join),
            Element::Predicate => self.condition(id, ConditionKind::Filter),
            Element::Residual | Element::ProbeResidual | Element::BuildResidual => {
                self.condition(id, ConditionKind::Join)
            }
            Element::SeekPredicates => self.seeks(id),
            Element::SeekPredicate | Element::SeekPredicateNew | Element::SeekPredicatePart => self.seeks(id),
            Element::OrderBy => self.columns_each(id, ConditionKind::SortKey),
            Element::GroupBy => self.columns_each(id, ConditionKind::GroupKey),
            Element::HashKeysBuild if operator::is_join(operator) => {
                self.columns_each(id, ConditionKind::Hash)
            }
            Element::HashKeysBuild => self.columns_each(id, ConditionKind::GroupKey),
            Element::HashKeysProbe => self.columns_paired(id, ConditionKind::Hash),
            Element::InnerSideJoinColumns => self.columns_each(id, ConditionKind::Merge),
            Element::OuterSideJoinColumns => self.columns_paired(id, ConditionKind::Merge),
            Element::PartitionColumns => self.columns_each(id, ConditionKind::Other),
            _ => self.xml.skip(),
        }
    }

    fn add_condition(&mut self, id: NodeId, kind: ConditionKind, text: String) {
        let at = self.xml.at();
        let Some(node) = self.plan.nodes.get_mut(id.index()) else { return };
        if node.conditions.len() >= MAX_LISTED {
            self.problems.add(ProblemKind::ListTooLong, at);
        } else {
            node.conditions.push(Condition { kind, text: text.into() });
        }
    }

    /// The first expression of an element as a condition.
    fn condition(&mut self, id: NodeId, kind: ConditionKind) -> Result<(), ProblemKind> {
        let outside = self.xml.depth() - 1;
        let mut shape = None;
        while let Some(tag) = self.xml.within(outside)? {
            if shape.is_none() && Element::lookup(tag.name()) == Some(Element::ScalarOperator) {
                shape = self.scalar(&tag);
            }
        }
        if let Some(shape) = shape {
            self.add_condition(id, kind, shape);
        }
        Ok(())
    }

    /// The shape of the expression of a `ScalarOperator`.
    fn scalar(&mut self, tag: &Tag<'a>) -> Option<String> {
        let mut shape = None;
        let qualifiers = &mut self.qualifiers;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if attribute == Attribute::ScalarString {
                shape = Some(condition::shape(&text, qualifiers));
            }
        });
        shape
    }

    fn columns_each(&mut self, id: NodeId, kind: ConditionKind) -> Result<(), ProblemKind> {
        let outside = self.xml.depth() - 1;
        let mut descending = false;
        while let Some(tag) = self.xml.within(outside)? {
            match Element::lookup(tag.name()) {
                Some(Element::OrderByColumn) => {
                    tag.attributes(&mut self.problems, |attribute, text, _| {
                        if attribute == Attribute::Ascending {
                            descending = value::flag(&text) == Some(false);
                        }
                    });
                }
                Some(Element::ColumnReference) => {
                    let mut column = self.column(&tag);
                    if std::mem::take(&mut descending) {
                        column.push_str(" DESC");
                    }
                    self.add_condition(id, kind, column);
                    // A computed column has its expression inside.
                    self.xml.skip()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the columns of the second input of a join, and makes equalities of them and those of the first.
    fn columns_paired(&mut self, id: NodeId, kind: ConditionKind) -> Result<(), ProblemKind> {
        let first = self.plan.node(id).map_or(0, |node| node.conditions_of(kind).count());
        self.columns_each(id, kind)?;
        let Some(node) = self.plan.nodes.get_mut(id.index()) else { return Ok(()) };
        let second: Vec<String> = node.conditions_of(kind).skip(first).map(str::to_owned).collect();
        if second.len() != first || node.conditions.len() >= MAX_LISTED {
            return Ok(());
        }
        let mut others = second.into_iter();
        let mut paired = 0;
        node.conditions.retain_mut(|condition| {
            if condition.kind != kind {
                return true;
            }
            paired += 1;
            if let Some(other) = others.next() {
                condition.text = format!("{} = {other}", condition.text).into();
            }
            paired <= first
        });
        Ok(())
    }

    pub(super) fn column(&mut self, tag: &Tag<'a>) -> String {
        let names = relop::names(tag, &mut self.problems);
        condition::column(&names.table, &names.column, &mut self.qualifiers)
    }

    /// The ranges of an index that are read. Columns and expressions stand in lists of their own; each range pairs them.
    fn seeks(&mut self, id: NodeId) -> Result<(), ProblemKind> {
        let outside = self.xml.depth() - 1;
        let mut range = Range::default();
        while let Some(tag) = self.xml.within(outside)? {
            match Element::lookup(tag.name()) {
                Some(Element::Prefix | Element::StartRange | Element::EndRange | Element::IsNotNull) => {
                    self.end_range(id, &mut range);
                    range.is_not_null = Element::lookup(tag.name()) == Some(Element::IsNotNull);
                    tag.attributes(&mut self.problems, |attribute, text, _| {
                        if attribute == Attribute::ScanType {
                            range.comparison = comparison(&text);
                        }
                    });
                }
                Some(Element::ColumnReference) => {
                    if range.columns.len() < MAX_LISTED {
                        let column = self.column(&tag);
                        range.columns.push(column);
                    }
                    self.xml.skip()?;
                }
                Some(Element::ScalarOperator) => {
                    if range.expressions.len() < MAX_LISTED {
                        let shape = self.scalar(&tag).unwrap_or_default();
                        range.expressions.push(shape);
                    }
                    self.xml.skip()?;
                }
                _ => {}
            }
        }
        self.end_range(id, &mut range);
        Ok(())
    }

    fn end_range(&mut self, id: NodeId, range: &mut Range) {
        let Range { columns, expressions, comparison, is_not_null } = std::mem::take(range);
        for (at, column) in columns.iter().enumerate() {
            let text = match expressions.get(at) {
                Some(expression) => format!("{column} {comparison} {expression}"),
                None if is_not_null => format!("{column} IS NOT NULL"),
                None => column.clone(),
            };
            self.add_condition(id, ConditionKind::Index, text);
        }
    }
}

/// A range of an index while it is read.
#[derive(Default)]
struct Range {
    columns: Vec<String>,
    expressions: Vec<String>,
    comparison: &'static str,
    is_not_null: bool,
}

fn comparison(scan_type: &str) -> &'static str {
    match scan_type {
        "EQ" => "=",
        "NE" => "<>",
        "GT" => ">",
        "GE" => ">=",
        "LT" => "<",
        "LE" => "<=",
        "IS" | "BINARY IS" => "IS",
        "IS NOT" => "IS NOT",
        _ => "~",
    }
}
