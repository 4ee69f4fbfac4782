//! Reads the JSON of `EXPLAIN` into a [`Plan`].

use std::borrow::Cow;

use super::{
    build,
    key::{Key, Rule},
};
use crate::{
    Budget, MAX_PLAN_DEPTH, MAX_PLAN_NODES, PlanProblems, ProblemKind,
    json::{Reader, Stop, Value},
    tree::{Jit, Node, NodeId, Plan, Relationship, Serialization, Trigger, Worker},
};

/// The most settings that are kept. PostgreSQL 18 has about 80 that it lists beside a plan.
pub const MAX_SETTINGS: usize = 256;

/// The most triggers that are kept. An `INSERT` into a partitioned table may run some for each partition.
pub const MAX_TRIGGERS: usize = 1024;

/// The deepest nesting of objects within `JIT`.
const MAX_JIT_DEPTH: usize = 3;

/// A plan and what was odd about it.
#[derive(Clone, Debug, Default)]
pub struct Parsed<'a> {
    /// What could be read; without nodes if no plan was found.
    pub plan: Plan<'a>,
    /// Why it may not be the whole plan.
    pub problems: PlanProblems,
}

/// Reads what `EXPLAIN (FORMAT JSON)` or auto_explain wrote. Any bytes give a result.
///
/// ```
/// use dbintel_plan::{Budget, parse_postgresql, tree::Operator};
///
/// let json = br#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Filter": "(id = 7)"}}]"#;
/// let parsed = parse_postgresql(json, &mut Budget::unlimited());
/// assert!(parsed.problems.is_empty());
/// assert_eq!(parsed.plan.root().unwrap().operator, Operator::SeqScan);
/// ```
#[must_use]
pub fn parse_postgresql<'a>(bytes: &'a [u8], budget: &mut Budget) -> Parsed<'a> {
    let mut problems = PlanProblems::default();
    match super::text(bytes, &mut problems) {
        Cow::Borrowed(text) => parse(text, budget, problems),
        Cow::Owned(text) => {
            let Parsed { plan, problems } = parse(&text, budget, problems);
            Parsed { plan: plan.into_owned(), problems }
        }
    }
}

fn parse<'a>(text: &'a str, budget: &mut Budget, problems: PlanProblems) -> Parsed<'a> {
    let mut parser = Parser { json: Reader::new(text, budget), plan: Plan::default(), problems, newest: 12 };
    let result = parser.document();
    let at = parser.json.at();
    if let Err(stop) = result {
        parser.problems.add(stop.problem(), at);
    } else if !parser.json.is_at_end() {
        parser.problems.add(ProblemKind::TrailingBytes, at);
    }
    if parser.plan.nodes.is_empty() {
        parser.problems.add(ProblemKind::NoPlan, at);
    }
    Parsed { plan: parser.plan, problems: parser.problems }
}

struct Parser<'a, 'b> {
    json: Reader<'a, 'b>,
    plan: Plan<'a>,
    problems: PlanProblems,
    /// The first version that writes the newest member met; every version is taken to write those of 12.
    newest: u16,
}

impl<'a> Parser<'a, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        match self.json.value()? {
            Value::Object => self.statement(),
            Value::Array => {
                while self.json.element()? {
                    match self.json.value()? {
                        Value::Object => self.statement()?,
                        other => self.unexpected(&other)?,
                    }
                }
                Ok(())
            }
            other => self.unexpected(&other),
        }
    }

    fn statement(&mut self) -> Result<(), Stop> {
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            let value = self.json.value()?;
            match (key, value) {
                (Some(Key::Plan), Value::Object) if self.plan.nodes.is_empty() => self.nodes()?,
                (Some(Key::Plan), value @ Value::Object) => {
                    self.problems.add(ProblemKind::SeveralPlans, self.json.at());
                    self.json.skip(&value)?;
                }
                (Some(Key::Planning), Value::Object) => self.planning()?,
                (Some(Key::Settings), Value::Object) => self.settings()?,
                (Some(Key::Serialization), Value::Object) => self.serialization()?,
                (Some(Key::Triggers), Value::Array) => self.triggers()?,
                (Some(Key::Jit), Value::Object) => self.jit()?,
                (Some(Key::QueryText), Value::String(text)) => self.plan.query_text = Some(text),
                // The values the statement was run with are of no use here.
                (Some(Key::QueryParameters), Value::String(_)) => {}
                (Some(Key::QueryIdentifier), Value::Number(number)) => {
                    self.plan.query_identifier = number.parse().ok();
                }
                (Some(Key::PlanningTime), Value::Number(number)) => {
                    self.plan.planning_time_ms = self.number(number);
                }
                (Some(Key::ExecutionTime), Value::Number(number)) => {
                    self.plan.execution_time_ms = self.number(number);
                }
                (Some(_), value) => self.unexpected(&value)?,
                (None, value) => self.json.skip(&value)?,
            }
        }
        Ok(())
    }

    /// The key with this name; an unknown one is counted.
    #[inline]
    fn key(&mut self, name: &str) -> Option<Key> {
        let Some(key) = Key::lookup(name) else {
            self.problems.add_unknown_key(name, self.json.at());
            return None;
        };
        if key.since() > self.newest {
            self.newest = key.since();
            self.plan.oldest_version = Some(key.since());
        }
        Some(key)
    }

    /// Counts a value of a type that the server does not write here, and reads past it.
    fn unexpected(&mut self, value: &Value<'a>) -> Result<(), Stop> {
        self.problems.add(ProblemKind::UnexpectedType, self.json.at());
        self.json.skip(value)
    }

    fn noted(&mut self, result: Result<(), ProblemKind>) {
        if let Err(problem) = result {
            self.problems.add(problem, self.json.at());
        }
    }

    // --- nodes ------------------------------------------------------------------------------------------

    /// Reads the tree whose root was opened. `open` holds the nodes that are being read, outermost first.
    fn nodes(&mut self) -> Result<(), Stop> {
        let mut open = Vec::with_capacity(16);
        let result = self.open_node(&mut open).and_then(|()| self.open_nodes(&mut open));
        // Where reading stopped early, what was read is a tree all the same.
        while let Some(id) = open.pop() {
            self.close_node(id);
        }
        result
    }

    fn open_nodes(&mut self, open: &mut Vec<NodeId>) -> Result<(), Stop> {
        while let Some(id) = open.last().copied() {
            if !self.members(id)? {
                open.pop();
                self.close_node(id);
                if open.is_empty() {
                    return Ok(());
                }
            }
            self.next_child(open)?;
        }
        Ok(())
    }

    /// Within the list of children of the innermost open node, opens the next child, if there is one.
    fn next_child(&mut self, open: &mut Vec<NodeId>) -> Result<(), Stop> {
        while self.json.element()? {
            match self.json.value()? {
                Value::Object => return self.open_node(open),
                other => self.unexpected(&other)?,
            }
        }
        Ok(())
    }

    fn open_node(&mut self, open: &mut Vec<NodeId>) -> Result<(), Stop> {
        if open.len() >= MAX_PLAN_DEPTH {
            return Err(Stop::TooDeep);
        }
        if self.plan.nodes.len() >= MAX_PLAN_NODES {
            return Err(Stop::TooManyNodes);
        }
        let id = NodeId(self.plan.nodes.len() as u32);
        let parent = open.last().copied();
        let relationship = if parent.is_some() { Relationship::Other } else { Relationship::Root };
        self.plan.nodes.push(Node { parent, depth: open.len() as u32, relationship, ..Node::default() });
        open.push(id);
        Ok(())
    }

    /// All nodes that were read since this one are below it.
    fn close_node(&mut self, id: NodeId) {
        let total = self.plan.nodes.len() as u32;
        let at = self.json.at();
        let Some(node) = self.plan.nodes.get_mut(id.index()) else { return };
        node.below = total - id.0 - 1;
        if node.operator_name.is_empty() {
            self.problems.add(ProblemKind::UnknownOperator, at);
        }
    }

    /// Reads members of a node. True where its list of children was opened, false at its end.
    fn members(&mut self, id: NodeId) -> Result<bool, Stop> {
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            let value = self.json.value()?;
            match (key, value) {
                (Some(Key::Plans), Value::Array) => return Ok(true),
                (Some(Key::Workers), Value::Array) => self.workers(id)?,
                (Some(key), value) => self.member(id, key, value, None)?,
                (None, value) => self.json.skip(&value)?,
            }
        }
        Ok(false)
    }

    /// One member of a node, or of the object `group` within it.
    fn member(
        &mut self,
        id: NodeId,
        key: Key,
        value: Value<'a>,
        group: Option<&Group<'_>>,
    ) -> Result<(), Stop> {
        match (key.rule(), value) {
            (Rule::Expression | Rule::Name | Rule::Word, Value::Array) => self.list(id, key, group),
            (Rule::Container, Value::Array) if group.is_none() => {
                while self.json.element()? {
                    match self.json.value()? {
                        Value::Object => self.group(id, &Group { key, around: None })?,
                        other => self.unexpected(&other)?,
                    }
                }
                Ok(())
            }
            (Rule::Container, Value::Object) if group.is_none_or(|group| group.around.is_none()) => {
                self.group(id, &Group { key, around: group })
            }
            (_, value @ (Value::Object | Value::Array)) => self.unexpected(&value),
            (_, value) => {
                let Some(node) = self.plan.nodes.get_mut(id.index()) else { return Ok(()) };
                let result = match group {
                    None => build::set(node, key, value),
                    Some(group) => build::set_in_group(node, group.key, key, value),
                };
                self.noted(result);
                Ok(())
            }
        }
    }

    /// The members of an object within a node. Such objects nest twice at most.
    fn group(&mut self, id: NodeId, group: &Group<'_>) -> Result<(), Stop> {
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            let value = self.json.value()?;
            match key {
                Some(key) => self.member(id, key, value, Some(group))?,
                None => self.json.skip(&value)?,
            }
        }
        Ok(())
    }

    /// A list of texts, or of lists of them where grouping sets have several keys.
    fn list(&mut self, id: NodeId, key: Key, group: Option<&Group<'_>>) -> Result<(), Stop> {
        while self.json.element()? {
            let value = match self.json.value()? {
                Value::Array => Value::String(Cow::Owned(self.grouping_set()?)),
                value @ Value::String(_) => value,
                other => {
                    self.unexpected(&other)?;
                    continue;
                }
            };
            let Some(node) = self.plan.nodes.get_mut(id.index()) else { continue };
            let result = match group {
                None => build::set(node, key, value),
                Some(group) => build::set_in_group(node, group.key, key, value),
            };
            self.noted(result);
        }
        Ok(())
    }

    fn grouping_set(&mut self) -> Result<String, Stop> {
        let mut keys = String::new();
        while self.json.element()? {
            match self.json.value()? {
                Value::String(key) => {
                    if !keys.is_empty() {
                        keys.push_str(", ");
                    }
                    keys.push_str(&key);
                }
                other => self.unexpected(&other)?,
            }
        }
        Ok(keys)
    }

    fn workers(&mut self, id: NodeId) -> Result<(), Stop> {
        while self.json.element()? {
            match self.json.value()? {
                Value::Object => {
                    let mut worker = Worker::default();
                    let result = self.worker(&mut worker);
                    if let Some(node) = self.plan.nodes.get_mut(id.index()) {
                        node.workers.push(worker);
                    }
                    result?;
                }
                other => self.unexpected(&other)?,
            }
        }
        Ok(())
    }

    fn worker(&mut self, worker: &mut Worker<'a>) -> Result<(), Stop> {
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            match (key, self.json.value()?) {
                // The leader's account of it is the sum.
                (Some(Key::Jit) | None, value) => self.json.skip(&value)?,
                (Some(_), value @ (Value::Object | Value::Array)) => self.unexpected(&value)?,
                (Some(key), value) => {
                    let result = build::set_of_worker(worker, key, value);
                    self.noted(result);
                }
            }
        }
        Ok(())
    }

    // --- the statement ----------------------------------------------------------------------------------

    fn planning(&mut self) -> Result<(), Stop> {
        self.numbers(|plan, key, number| match key {
            Key::MemoryUsed => plan.planning_memory_used_kib = Some(number),
            Key::MemoryAllocated => plan.planning_memory_allocated_kib = Some(number),
            key => {
                build::set_buffers(&mut plan.planning_buffers, key, number);
            }
        })
    }

    fn serialization(&mut self) -> Result<(), Stop> {
        self.plan.serialization = Some(Serialization::default());
        self.numbers(|plan, key, number| {
            let Some(serialization) = &mut plan.serialization else { return };
            match key {
                Key::Time => serialization.time_ms = Some(number),
                Key::OutputVolume => serialization.output_kib = Some(number),
                _ => {}
            }
        })
    }

    fn jit(&mut self) -> Result<(), Stop> {
        self.plan.jit = Some(Jit::default());
        self.jit_members()
    }

    /// `Options` and `Timing` are objects, and `Generation` is one from version 17 on.
    fn jit_members(&mut self) -> Result<(), Stop> {
        // The objects that are being read.
        let mut inside: Vec<Key> = Vec::with_capacity(2);
        loop {
            let Some(name) = self.json.member()? else {
                if inside.pop().is_none() {
                    return Ok(());
                }
                continue;
            };
            let Some(key) = self.key(&name) else {
                let value = self.json.value()?;
                self.json.skip(&value)?;
                continue;
            };
            match self.json.value()? {
                Value::Object
                    if matches!(key.rule(), Rule::Container | Rule::PlainOrContainer)
                        && inside.len() < MAX_JIT_DEPTH =>
                {
                    inside.push(key);
                }
                Value::Number(number) => {
                    let number = self.number(number);
                    if let (Some(jit), Some(number)) = (&mut self.plan.jit, number) {
                        build::set_jit(jit, &inside, key, number);
                    }
                }
                Value::Bool(flag) => match (&mut self.plan.jit, key) {
                    (Some(jit), Key::Inlining) => jit.inlining = flag,
                    (Some(jit), Key::Optimization) => jit.optimization = flag,
                    _ => {}
                },
                other => self.unexpected(&other)?,
            }
        }
    }

    /// The members of an object that are numbers or words.
    fn numbers(&mut self, mut set: impl FnMut(&mut Plan<'a>, Key, f64)) -> Result<(), Stop> {
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            match (key, self.json.value()?) {
                (Some(key), Value::Number(number)) => {
                    if let Some(number) = self.number(number) {
                        set(&mut self.plan, key, number);
                    }
                }
                (Some(key), Value::String(_)) if key.rule() == Rule::Word => {}
                (Some(_), value) => self.unexpected(&value)?,
                (None, value) => self.json.skip(&value)?,
            }
        }
        Ok(())
    }

    fn settings(&mut self) -> Result<(), Stop> {
        while let Some(name) = self.json.member()? {
            match self.json.value()? {
                Value::String(_) if self.plan.settings.len() >= MAX_SETTINGS => {
                    self.problems.add(ProblemKind::TooManySettings, self.json.at());
                }
                Value::String(value) => self.plan.settings.push((name, value)),
                other => self.unexpected(&other)?,
            }
        }
        Ok(())
    }

    fn triggers(&mut self) -> Result<(), Stop> {
        while self.json.element()? {
            match self.json.value()? {
                Value::Object => {
                    let trigger = self.trigger()?;
                    if self.plan.triggers.len() < MAX_TRIGGERS {
                        self.plan.triggers.push(trigger);
                    } else {
                        self.problems.add(ProblemKind::TooManyTriggers, self.json.at());
                    }
                }
                other => self.unexpected(&other)?,
            }
        }
        Ok(())
    }

    fn trigger(&mut self) -> Result<Trigger<'a>, Stop> {
        let mut trigger = Trigger::default();
        while let Some(name) = self.json.member()? {
            let key = self.key(&name);
            match (key, self.json.value()?) {
                (Some(Key::TriggerName), Value::String(name)) => trigger.name = name,
                (Some(Key::ConstraintName), Value::String(name)) => trigger.constraint = Some(name),
                (Some(Key::Relation), Value::String(name)) => trigger.relation = Some(name),
                (Some(Key::Time), Value::Number(number)) => trigger.time_ms = self.number(number),
                (Some(Key::Calls), Value::Number(number)) => trigger.calls = self.number(number),
                (Some(_), value) => self.unexpected(&value)?,
                (None, value) => self.json.skip(&value)?,
            }
        }
        Ok(trigger)
    }

    /// The value of a number; one that is not finite is counted.
    fn number(&mut self, text: &str) -> Option<f64> {
        let number = build::number(text);
        if number.is_none() {
            self.problems.add(ProblemKind::UnexpectedType, self.json.at());
        }
        number
    }
}

/// An object within a node, and the one around it.
struct Group<'g> {
    key: Key,
    around: Option<&'g Group<'g>>,
}
