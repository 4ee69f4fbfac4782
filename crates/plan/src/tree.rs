//! A query plan of any supported engine, as one tree.
//!
//! The nodes stand in one array in the order in which the engine prints them, parents before children, so that a plan
//! costs few allocations, can be walked without recursion, and an index names a node. Texts are borrowed from the
//! plan's source where they could be; [`Plan::into_owned`] gives a plan that can be kept.
//!
//! What only one engine has is in [`Node::extras`] under that engine's own name, so that nothing read is lost.

mod node;
mod operator;
mod owned;
mod root;
mod walk;

pub use self::{
    node::{
        Actuals, Buffers, Condition, ConditionKind, Estimates, Extra, JoinType, Node, NodeId, RelationRef,
        Relationship, Scalar, ScanDirection, Wal, Warning, WarningKind, Worker,
    },
    operator::{Operator, OperatorClass},
    root::{
        Engine, Jit, MemoryGrant, MissingIndexGroup, Parameter, ParameterValues, Plan, PlanSettings,
        PlanWait, Serialization, SqlServerPlan, StatisticsUse, Trigger,
    },
    walk::{Children, Subtree},
};
