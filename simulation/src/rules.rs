//! What is compared: rules as they are often built, the rule of the reference, and the product's.

pub mod naive;
pub mod ours;
pub mod reference;
mod welch;

use crate::rule::Rule;

/// A rule by its name on the command line, and how to make one.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// On the command line.
    pub name: &'static str,
    /// A new one.
    pub make: fn() -> Box<dyn Rule>,
}

/// All rules, in the order of the columns.
pub const ALL: &[Entry] = &[
    Entry { name: "raw-t", make: || Box::new(naive::RawT::default()) },
    Entry { name: "mean", make: || Box::new(naive::MeanWorse::default()) },
    Entry { name: "reference", make: || Box::new(reference::Reference::default()) },
    Entry { name: OURS, make: || Box::new(ours::Ours::default()) },
];

/// The rule that the gate is about.
pub const OURS: &str = "ours";
