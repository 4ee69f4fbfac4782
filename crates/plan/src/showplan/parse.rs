//! Reads showplan XML into the common tree.

use std::borrow::Cow;

use super::{
    attribute::Attribute,
    batch::{MAX_STATEMENTS, ParsedShowplan, ShowplanStatement},
    decode,
    element::{Element, Role},
    operator,
    qualifier::Qualifiers,
    relop, runtime, tsql, value,
    xml::{Item, Tag, Xml},
};
use crate::{
    Budget, MAX_PLAN_DEPTH, MAX_PLAN_NODES, PlanProblems, ProblemKind,
    tree::{ConditionKind, Engine, Node, NodeId, Operator, Plan, Relationship, SqlServerPlan},
};

/// Reads a showplan. Any bytes give a result.
///
/// ```
/// use dbintel_plan::{Budget, parse_sql_server, tree::Operator};
///
/// let xml = br#"<ShowPlanXML><BatchSequence><Batch><Statements><StmtSimple StatementType="SELECT"><QueryPlan>
///   <RelOp NodeId="0" PhysicalOp="Table Scan" LogicalOp="Table Scan" EstimateRows="3"><TableScan>
///     <Object Schema="[dbo]" Table="[orders]" /></TableScan></RelOp>
/// </QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"#;
/// let parsed = parse_sql_server(xml, &mut Budget::unlimited());
/// assert!(parsed.problems.is_empty());
/// let root = parsed.plan.root().unwrap();
/// assert_eq!((root.operator, root.relation.name.as_deref()), (Operator::SeqScan, Some("orders")));
/// ```
#[must_use]
pub fn parse_sql_server<'a>(bytes: &'a [u8], budget: &mut Budget) -> ParsedShowplan<'a> {
    let mut problems = PlanProblems::default();
    match decode::text(bytes, &mut problems) {
        Cow::Borrowed(text) => parse(text, budget, problems),
        Cow::Owned(text) => parse(&text, budget, problems).into_owned(),
    }
}

fn parse<'a>(text: &'a str, budget: &mut Budget, problems: PlanProblems) -> ParsedShowplan<'a> {
    let mut parser = Parser::new(text, budget, problems);
    let result = parser.document();
    // Where reading stopped early, what was read is a tree all the same.
    while let Some(frame) = parser.frames.pop() {
        parser.close(&frame);
    }
    let at = parser.xml.at();
    if let Err(problem) = result {
        parser.problems.add(problem, at);
    }
    if parser.plan.nodes.is_empty() {
        parser.problems.add(ProblemKind::NoPlan, at);
    }
    parser.plan.sql_server = Some(Box::new(parser.details));
    ParsedShowplan {
        plan: parser.plan,
        statements: parser.statements,
        statement: parser.statement,
        problems: parser.problems,
    }
}

/// An element whose content is being read.
enum Frame {
    /// Holds other elements.
    Structure,
    /// A statement, by its place in the list.
    Statement(Option<usize>),
    Plan,
    Node(NodeId, Counted),
    /// What a node does.
    Operation(NodeId),
}

/// What is counted while a node is being read.
#[derive(Default)]
struct Counted {
    inputs: u32,
}

pub(super) struct Parser<'a, 'b> {
    pub(super) xml: Xml<'a, 'b>,
    pub(super) plan: Plan<'a>,
    pub(super) details: SqlServerPlan<'a>,
    pub(super) problems: PlanProblems,
    pub(super) qualifiers: Qualifiers,
    statements: Vec<ShowplanStatement<'a>>,
    statement: Option<usize>,
    frames: Vec<Frame>,
    open_nodes: usize,
}

impl<'a, 'b> Parser<'a, 'b> {
    fn new(text: &'a str, budget: &'b mut Budget, problems: PlanProblems) -> Self {
        Self {
            xml: Xml::new(text, budget),
            plan: Plan { engine: Engine::SqlServer, ..Plan::default() },
            details: SqlServerPlan::default(),
            problems,
            qualifiers: Qualifiers::default(),
            statements: Vec::new(),
            statement: None,
            frames: Vec::with_capacity(32),
            open_nodes: 0,
        }
    }

    fn document(&mut self) -> Result<(), ProblemKind> {
        loop {
            match self.xml.next()? {
                Item::Open(tag) => self.open(&tag)?,
                Item::Close => {
                    if let Some(frame) = self.frames.pop() {
                        self.close(&frame);
                    }
                }
                Item::End => return Ok(()),
            }
        }
    }

    fn open(&mut self, tag: &Tag<'a>) -> Result<(), ProblemKind> {
        let Some(element) = Element::lookup(tag.name()) else {
            self.problems.add_unknown_key(tag.name(), tag.at);
            return self.open_unknown();
        };
        match (self.frames.last(), element, element.property()) {
            (_, Element::QueryPlan, _) => self.open_plan(tag),
            (_, Element::RelOp, _) => self.open_node(tag),
            (Some(Frame::Node(id, _)), _, Role::Operation) => {
                let id = *id;
                if let Some(node) = self.plan.nodes.get_mut(id.index()) {
                    relop::set_operation(node, tag, &mut self.problems);
                }
                self.frames.push(Frame::Operation(id));
                Ok(())
            }
            (Some(Frame::Node(id, _)), ..) => {
                let id = *id;
                self.part_of_node(id, element, tag)
            }
            (Some(Frame::Operation(id)), ..) => {
                let id = *id;
                self.part_of_operation(id, element, tag)
            }
            (Some(Frame::Plan), ..) => self.part_of_plan(element, tag),
            (_, _, Role::Statement) => {
                self.open_statement(tag);
                Ok(())
            }
            (Some(Frame::Statement(_)), Element::StatementSetOptions, _) => {
                self.set_options(tag);
                self.xml.skip()
            }
            (_, Element::ShowPlanXml, _) => {
                self.version(tag);
                self.frames.push(Frame::Structure);
                Ok(())
            }
            (_, _, Role::Structure) => {
                self.frames.push(Frame::Structure);
                Ok(())
            }
            _ => self.xml.skip(),
        }
    }

    /// What a version to come calls an operation holds nodes all the same.
    fn open_unknown(&mut self) -> Result<(), ProblemKind> {
        match self.frames.last() {
            Some(Frame::Node(id, _)) => {
                let id = *id;
                self.frames.push(Frame::Operation(id));
                Ok(())
            }
            _ => self.xml.skip(),
        }
    }

    fn close(&mut self, frame: &Frame) {
        match frame {
            Frame::Node(id, _) => self.close_node(*id),
            Frame::Plan if !self.plan.nodes.is_empty() => self.statement_has_plan(),
            _ => {}
        }
    }

    // --- statements -------------------------------------------------------------------------------------

    fn open_statement(&mut self, tag: &Tag<'a>) {
        let mut statement = ShowplanStatement::default();
        // What is known of the plan belongs to the first statement that has one.
        let chosen = self.plan.nodes.is_empty();
        let (plan, details) = (&mut self.plan, &mut self.details);
        if chosen {
            let server_version = plan.server_version.take();
            *plan = Plan { engine: Engine::SqlServer, server_version, ..Plan::default() };
            *details = SqlServerPlan::default();
        }
        tag.attributes(&mut self.problems, |attribute, text, _| match attribute {
            Attribute::StatementType if value::is_word(&text) => statement.kind = Some(text),
            Attribute::QueryHash => statement.query_hash = value::hash(&text),
            Attribute::QueryPlanHash => statement.query_plan_hash = value::hash(&text),
            Attribute::StatementSubTreeCost => statement.cost = value::number(&text),
            Attribute::StatementEstRows => statement.rows = value::number(&text),
            _ if !chosen => {}
            Attribute::StatementText => plan.query_text = Some(tsql::mask_statement(&text).into()),
            Attribute::CardinalityEstimationModelVersion => {
                plan.cardinality_model = value::number(&text).map(|version| version as u32);
            }
            Attribute::StatementOptmLevel if value::is_word(&text) => details.optimization_level = Some(text),
            Attribute::StatementOptmEarlyAbortReason if value::is_word(&text) => {
                details.early_abort_reason = Some(text);
            }
            _ => {}
        });
        if chosen {
            details.statement_type.clone_from(&statement.kind);
            (plan.query_hash, plan.query_plan_hash) = (statement.query_hash, statement.query_plan_hash);
        }
        let place = if self.statements.len() < MAX_STATEMENTS {
            self.statements.push(statement);
            Some(self.statements.len() - 1)
        } else {
            self.problems.add(ProblemKind::ListTooLong, tag.at);
            None
        };
        self.frames.push(Frame::Statement(place));
    }

    fn open_plan(&mut self, tag: &Tag<'a>) -> Result<(), ProblemKind> {
        if !self.plan.nodes.is_empty() {
            self.problems.add(ProblemKind::SeveralPlans, tag.at);
            self.statement_has_plan();
            return self.xml.skip();
        }
        self.plan_attributes(tag);
        self.frames.push(Frame::Plan);
        Ok(())
    }

    /// Marks the innermost open statement.
    fn statement_has_plan(&mut self) {
        let place = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::Statement(place) => Some(*place),
            _ => None,
        });
        let Some(place) = place.flatten() else { return };
        if let Some(statement) = self.statements.get_mut(place) {
            statement.has_plan = true;
        }
        self.statement.get_or_insert(place);
    }

    // --- nodes ------------------------------------------------------------------------------------------

    fn open_node(&mut self, tag: &Tag<'a>) -> Result<(), ProblemKind> {
        let parent = match self.frames.last_mut() {
            Some(Frame::Operation(id)) => Some(*id),
            // Without an element around it that says what its parent does, or as the root.
            Some(Frame::Node(id, _)) => Some(*id),
            _ if self.plan.nodes.is_empty() => None,
            _ => return self.xml.skip(),
        };
        if self.open_nodes >= MAX_PLAN_DEPTH {
            return Err(ProblemKind::TooDeep);
        }
        if self.plan.nodes.len() >= MAX_PLAN_NODES {
            return Err(ProblemKind::TooManyNodes);
        }
        let relationship = parent.map_or(Relationship::Root, |parent| self.relationship(parent));
        let id = NodeId(self.plan.nodes.len() as u32);
        let mut node = Node { parent, depth: self.open_nodes as u32, relationship, ..Node::default() };
        relop::set_node(&mut node, tag, &mut self.problems);
        self.plan.nodes.push(node);
        self.frames.push(Frame::Node(id, Counted::default()));
        self.open_nodes += 1;
        Ok(())
    }

    /// What the next input of `parent` is to it.
    fn relationship(&mut self, parent: NodeId) -> Relationship {
        let counted = self.frames.iter_mut().rev().find_map(|frame| match frame {
            Frame::Node(id, counted) if *id == parent => Some(counted),
            _ => None,
        });
        let inputs = counted.map_or(0, |counted| {
            counted.inputs = counted.inputs.saturating_add(1);
            counted.inputs
        });
        let operator = self.plan.node(parent).map_or(Operator::Other, |node| node.operator);
        match (operator, inputs) {
            (Operator::Append | Operator::MergeAppend | Operator::Sequence | Operator::Switch, _) => {
                Relationship::Member
            }
            (_, 1) => Relationship::Outer,
            (_, 2) if operator::is_join(operator) => Relationship::Inner,
            _ => Relationship::Member,
        }
    }

    /// All nodes that were read since this one are below it.
    fn close_node(&mut self, id: NodeId) {
        self.open_nodes = self.open_nodes.saturating_sub(1);
        let total = self.plan.nodes.len() as u32;
        let threads = self.details.degree_of_parallelism;
        let Some(node) = self.plan.nodes.get_mut(id.index()) else { return };
        node.below = total - id.0 - 1;
        let has_order = node.has_condition(ConditionKind::SortKey);
        operator::refine(node, has_order);
        runtime::set_dropped_rows(node);
        if matches!(node.operator, Operator::Gather | Operator::GatherMerge) {
            node.workers_planned = threads;
        }
    }

    fn part_of_node(&mut self, id: NodeId, element: Element, tag: &Tag<'a>) -> Result<(), ProblemKind> {
        match element {
            Element::RunTimeInformation => self.run_time(id),
            Element::Warnings => {
                let (warnings, extras) = self.warnings(tag)?;
                if let Some(node) = self.plan.nodes.get_mut(id.index()) {
                    node.warnings.extend(warnings);
                    node.extras.extend(extras);
                }
                Ok(())
            }
            _ => self.xml.skip(),
        }
    }

    fn run_time(&mut self, id: NodeId) -> Result<(), ProblemKind> {
        let mut counters = runtime::Counters::default();
        let outside = self.xml.depth() - 1;
        while let Some(tag) = self.xml.within(outside)? {
            if Element::lookup(tag.name()) == Some(Element::RunTimeCountersPerThread) {
                counters.add(&tag, &mut self.problems);
            }
        }
        if let Some(node) = self.plan.nodes.get_mut(id.index()) {
            counters.finish(node);
        }
        Ok(())
    }
}
