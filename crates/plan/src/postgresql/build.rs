//! Where in the tree each member belongs.

use std::borrow::Cow;

use super::key::{Key, Rule};
use crate::{
    ProblemKind,
    json::Value,
    tree::{
        Actuals, Buffers, Condition, ConditionKind, Extra, Jit, JoinType, Node, Operator, Relationship,
        Scalar, ScanDirection, Wal, Warning, WarningKind, Worker,
    },
};

type Outcome = Result<(), ProblemKind>;

/// The value of a JSON number, if it is finite.
#[inline]
pub(super) fn number(text: &str) -> Option<f64> {
    // Most numbers are small and whole, and parsing those as integers is several times faster.
    if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok().map(|whole| whole as f64);
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Takes one member of a node that is a single value.
#[inline]
pub(super) fn set<'a>(node: &mut Node<'a>, key: Key, value: Value<'a>) -> Outcome {
    match value {
        Value::Number(text) if is_plain(key) => {
            set_number(node, key, number(text).ok_or(ProblemKind::UnexpectedType)?);
        }
        Value::Bool(flag) if is_plain(key) => set_flag(node, key, flag),
        Value::String(text) => return set_text(node, key, text),
        _ => return Err(ProblemKind::UnexpectedType),
    }
    Ok(())
}

/// Takes one member of an object within a node.
pub(super) fn set_in_group<'a>(node: &mut Node<'a>, group: Key, key: Key, value: Value<'a>) -> Outcome {
    if let (Rule::Expression, Value::String(text)) = (key.rule(), &value) {
        node.conditions.push(Condition { kind: condition_kind(key), text: text.clone() });
        return Ok(());
    }
    node.extras.push(extra(key, Some(group.as_str()), value)?);
    Ok(())
}

/// Takes one member of the account of a parallel worker.
pub(super) fn set_of_worker<'a>(worker: &mut Worker<'a>, key: Key, value: Value<'a>) -> Outcome {
    if let (Value::Number(text), true) = (&value, is_plain(key)) {
        let number = number(text).ok_or(ProblemKind::UnexpectedType)?;
        let taken = set_actual(&mut worker.actuals, key, number)
            || set_buffers(&mut worker.buffers, key, number)
            || set_wal(&mut worker.wal, key, number);
        if key == Key::WorkerNumber {
            worker.number = count(number);
            return Ok(());
        }
        if taken {
            return Ok(());
        }
    }
    worker.extras.push(extra(key, None, value)?);
    Ok(())
}

/// Takes a number of the account of just-in-time compilation. `inside` are the objects around it.
pub(super) fn set_jit(jit: &mut Jit, inside: &[Key], key: Key, number: f64) {
    let slot = match (inside, key) {
        (_, Key::Functions) => {
            jit.functions = number;
            return;
        }
        (_, Key::Generation) | ([.., Key::Generation], Key::Total) => &mut jit.generation_ms,
        (_, Key::Deform) => &mut jit.deform_ms,
        (_, Key::Inlining) => &mut jit.inlining_ms,
        (_, Key::Optimization) => &mut jit.optimization_ms,
        (_, Key::Emission) => &mut jit.emission_ms,
        (_, Key::Total) => &mut jit.total_ms,
        _ => return,
    };
    *slot = Some(number);
}

fn is_plain(key: Key) -> bool {
    matches!(key.rule(), Rule::Plain | Rule::PlainOrContainer)
}

/// A count as a small integer; the server writes no others here.
fn count(number: f64) -> u32 {
    number as u32
}

fn extra<'a>(key: Key, group: Option<&'static str>, value: Value<'a>) -> Result<Extra<'a>, ProblemKind> {
    let value = match (key.rule(), value) {
        (Rule::Plain, Value::Number(text)) => {
            Scalar::Number(number(text).ok_or(ProblemKind::UnexpectedType)?)
        }
        (Rule::Plain, Value::Bool(flag)) => Scalar::Bool(flag),
        (Rule::Word | Rule::Name | Rule::Secret, Value::String(text)) => Scalar::Text(text),
        _ => return Err(ProblemKind::UnexpectedType),
    };
    Ok(Extra { name: key.as_str(), group, value })
}

// --- numbers and flags ----------------------------------------------------------------------------------

#[inline]
fn set_number(node: &mut Node<'_>, key: Key, number: f64) {
    let slot = match key {
        Key::StartupCost => &mut node.estimates.startup_cost,
        Key::TotalCost => &mut node.estimates.total_cost,
        Key::PlanRows => &mut node.estimates.rows,
        Key::PlanWidth => &mut node.estimates.width_bytes,
        Key::RemovedByFilter => &mut node.rows_removed_by_filter,
        Key::RemovedByJoinFilter => &mut node.rows_removed_by_join_filter,
        Key::RemovedByRecheck => &mut node.rows_removed_by_recheck,
        Key::WorkersPlanned => return node.workers_planned = Some(count(number)),
        Key::WorkersLaunched => return node.workers_launched = Some(count(number)),
        _ => return set_other_number(node, key, number),
    };
    *slot = Some(number);
}

fn set_other_number(node: &mut Node<'_>, key: Key, number: f64) {
    let taken = set_actual(&mut node.actuals, key, number)
        || set_buffers(&mut node.buffers, key, number)
        || set_wal(&mut node.wal, key, number);
    if !taken {
        node.extras.push(Extra { name: key.as_str(), group: None, value: Scalar::Number(number) });
    }
}

#[inline]
fn set_actual(actuals: &mut Option<Actuals>, key: Key, number: f64) -> bool {
    match key {
        Key::ActualRows => actuals.get_or_insert_default().rows = number,
        Key::ActualLoops => actuals.get_or_insert_default().loops = number,
        Key::ActualStartupTime => actuals.get_or_insert_default().startup_ms = Some(number),
        Key::ActualTotalTime => actuals.get_or_insert_default().total_ms = Some(number),
        _ => return false,
    }
    true
}

/// Takes a number of blocks or a time spent on them.
pub(super) fn set_buffers(buffers: &mut Option<Box<Buffers>>, key: Key, number: f64) -> bool {
    let count: fn(&mut Buffers) -> &mut f64 = match key {
        Key::SharedHit => |buffers| &mut buffers.shared_hit,
        Key::SharedRead => |buffers| &mut buffers.shared_read,
        Key::SharedDirtied => |buffers| &mut buffers.shared_dirtied,
        Key::SharedWritten => |buffers| &mut buffers.shared_written,
        Key::LocalHit => |buffers| &mut buffers.local_hit,
        Key::LocalRead => |buffers| &mut buffers.local_read,
        Key::LocalDirtied => |buffers| &mut buffers.local_dirtied,
        Key::LocalWritten => |buffers| &mut buffers.local_written,
        Key::TempRead => |buffers| &mut buffers.temp_read,
        Key::TempWritten => |buffers| &mut buffers.temp_written,
        _ => return set_block_time(buffers, key, number),
    };
    *count(buffers.get_or_insert_default()) = number;
    true
}

fn set_block_time(buffers: &mut Option<Box<Buffers>>, key: Key, number: f64) -> bool {
    let time: fn(&mut Buffers) -> &mut Option<f64> = match key {
        Key::IoReadTime | Key::SharedReadTime => |buffers| &mut buffers.shared_read_ms,
        Key::IoWriteTime | Key::SharedWriteTime => |buffers| &mut buffers.shared_write_ms,
        Key::LocalReadTime => |buffers| &mut buffers.local_read_ms,
        Key::LocalWriteTime => |buffers| &mut buffers.local_write_ms,
        Key::TempReadTime => |buffers| &mut buffers.temp_read_ms,
        Key::TempWriteTime => |buffers| &mut buffers.temp_write_ms,
        _ => return false,
    };
    *time(buffers.get_or_insert_default()) = Some(number);
    true
}

fn set_wal(wal: &mut Option<Box<Wal>>, key: Key, number: f64) -> bool {
    match key {
        Key::WalRecords => wal.get_or_insert_default().records = number,
        Key::WalFpi => wal.get_or_insert_default().full_page_images = number,
        Key::WalBytes => wal.get_or_insert_default().bytes = number,
        Key::WalBuffersFull => wal.get_or_insert_default().buffers_full = number,
        _ => return false,
    }
    true
}

fn set_flag(node: &mut Node<'_>, key: Key, flag: bool) {
    match key {
        Key::ParallelAware => node.parallel_aware = flag,
        Key::InnerUnique => node.inner_unique = Some(flag),
        Key::Disabled if flag => node.warnings.push(Warning { kind: WarningKind::Disabled, text: None }),
        Key::Disabled => {}
        // Nearly always false, and then of no use to anyone.
        Key::AsyncCapable if !flag => {}
        _ => node.extras.push(Extra { name: key.as_str(), group: None, value: Scalar::Bool(flag) }),
    }
}

// --- texts ----------------------------------------------------------------------------------------------

#[inline]
fn set_text<'a>(node: &mut Node<'a>, key: Key, text: Cow<'a, str>) -> Outcome {
    match key {
        Key::NodeType => return set_operator(node, text),
        Key::ParentRelationship => node.relationship = relationship(&text),
        Key::JoinType => node.join_type = Some(join_type(&text)),
        Key::RelationName => node.relation.name = Some(text),
        Key::Schema => node.relation.schema = Some(text),
        Key::Alias => node.relation.alias = Some(text),
        Key::IndexName => node.index = Some(text),
        Key::SubplanName => node.subplan_name = Some(text),
        Key::FunctionName | Key::TableFunctionName | Key::CteName | Key::TuplestoreName => {
            node.source = Some(text);
        }
        Key::Strategy => node.strategy = Some(text),
        Key::PartialMode => node.partial_mode = (text != "Simple").then_some(text),
        Key::Operation | Key::Command => node.operation = Some(text),
        Key::ScanDirection => node.scan_direction = scan_direction(&text),
        _ if key.rule() == Rule::Expression => {
            node.conditions.push(Condition { kind: condition_kind(key), text });
        }
        _ => node.extras.push(extra(key, None, Value::String(text))?),
    }
    Ok(())
}

fn set_operator<'a>(node: &mut Node<'a>, text: Cow<'a, str>) -> Outcome {
    node.operator = operator(&text);
    node.operator_name = text;
    if node.operator == Operator::Other && !node.operator_name.is_empty() {
        return Err(ProblemKind::UnknownOperator);
    }
    Ok(())
}

fn operator(text: &str) -> Operator {
    match text {
        "ModifyTable" | "Modify Table" => Operator::ModifyTable,
        // The name during the development of version 14.
        "Result Cache" => Operator::Memoize,
        _ => Operator::named(text).unwrap_or(Operator::Other),
    }
}

fn relationship(text: &str) -> Relationship {
    match text {
        "Outer" => Relationship::Outer,
        "Inner" => Relationship::Inner,
        "Member" => Relationship::Member,
        "InitPlan" => Relationship::InitPlan,
        "SubPlan" => Relationship::SubPlan,
        "Subquery" => Relationship::Subquery,
        _ => Relationship::Other,
    }
}

fn join_type(text: &str) -> JoinType {
    match text {
        "Inner" => JoinType::Inner,
        "Left" => JoinType::Left,
        "Full" => JoinType::Full,
        "Right" => JoinType::Right,
        "Semi" => JoinType::Semi,
        "Anti" => JoinType::Anti,
        "Right Semi" => JoinType::RightSemi,
        "Right Anti" => JoinType::RightAnti,
        _ => JoinType::Other,
    }
}

fn scan_direction(text: &str) -> Option<ScanDirection> {
    match text {
        "Forward" | "NoMovement" => Some(ScanDirection::Forward),
        "Backward" => Some(ScanDirection::Backward),
        _ => None,
    }
}

fn condition_kind(key: Key) -> ConditionKind {
    match key {
        Key::Filter => ConditionKind::Filter,
        Key::IndexCond => ConditionKind::Index,
        Key::RecheckCond => ConditionKind::Recheck,
        Key::TidCond => ConditionKind::Tid,
        Key::HashCond => ConditionKind::Hash,
        Key::MergeCond => ConditionKind::Merge,
        Key::JoinFilter => ConditionKind::Join,
        Key::OneTimeFilter => ConditionKind::OneTime,
        Key::RunCondition => ConditionKind::Run,
        Key::ConflictFilter => ConditionKind::Conflict,
        Key::SortKey => ConditionKind::SortKey,
        Key::PresortedKey => ConditionKind::PresortedKey,
        Key::GroupKey | Key::HashKey => ConditionKind::GroupKey,
        Key::GroupKeys | Key::HashKeys => ConditionKind::GroupingSet,
        Key::OrderBy => ConditionKind::OrderBy,
        Key::CacheKey => ConditionKind::CacheKey,
        Key::Output => ConditionKind::Output,
        Key::FunctionCall | Key::TableFunctionCall => ConditionKind::Call,
        Key::Window => ConditionKind::Window,
        Key::RemoteSql => ConditionKind::Remote,
        _ => ConditionKind::Other,
    }
}
