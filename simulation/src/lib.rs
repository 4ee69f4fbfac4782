//! How often decision rules are wrong, measured: `make evidence`.
//!
//! * [`generator`]: histories of statements, each made again from its part, number and seed. What was done to each is
//!   known ([`history::Truth`]).
//! * [`rule`]: what is measured, behind one small trait; [`rules`]: naive rules, the reference rule, and ours.
//! * [`plan`], [`run`]: which histories are judged, and when; [`placebo`]: flips that never were, put into recorded
//!   histories.
//! * [`kinds`]: kinds of findings whose inputs no history has: reports of plans, analyses, time-outs.
//! * [`tally`], [`bounds`], [`table`], [`gate`]: counts, their exact upper bounds, the tables, and what must hold.
//! * [`files`]: histories as files (`docs/evidence-histories.md`).
//!
//! Nothing here shares code with the rules of the product: a mistake in a formula would otherwise be made twice and
//! cancel itself. The product's rule is only called, by [`rules`].
#![forbid(unsafe_code)]

pub mod bounds;
pub mod files;
pub mod gate;
pub mod generator;
pub mod history;
pub mod kinds;
pub mod placebo;
pub mod plan;
pub mod rng;
pub mod rule;
pub mod rules;
pub mod run;
pub mod table;
pub mod tally;
