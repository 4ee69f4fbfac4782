//! What a statement is for, how it ended, and what kind of work it belongs to.

use std::time::Duration;

use dbintel_model::Text;

/// What a statement is for. The cost of each is accounted for on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Opening a connection and finding out what answers.
    Connect,
    /// Counters of the whole server.
    Server,
    /// Statement statistics without texts.
    Statements,
    /// Texts of statements seen for the first time.
    Texts,
    /// Sessions, waits and locks.
    Sessions,
    /// Tables, indexes and other objects of one database.
    Objects,
    /// Exact sizes, which can wait for locks.
    Sizes,
    /// Settings, extensions and columns.
    Catalogue,
    /// EXPLAIN of a statement, without running it.
    Plans,
    /// What admission itself needs: the cheapest probe of a breaker, setting a time-out, reading signs of distress.
    Control,
}

/// Kinds of work in the order in which they are given up: the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CostClass {
    /// Plans.
    Plans,
    /// Sessions, waits and locks.
    Sessions,
    /// Sizes and objects.
    Sizes,
    /// Statement statistics, their texts, the counters of the server and the catalogue: what the product is for.
    Statements,
    /// Connections and probes, without which nothing can recover: given up last.
    Connection,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// From sending to the last row, by our clock.
    pub wall: Duration,
    /// Time the database itself measured for the statement; `None` where it could not be had.
    pub database: Option<Duration>,
    /// Rows received.
    pub rows: u64,
    /// Why it failed, if it did.
    pub error: Option<StatementError>,
}

/// Why a statement failed, as far as breakers care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementError {
    /// The server answered with this SQLSTATE.
    Sqlstate(Text),
    /// The connection was lost or could not be made.
    Connection,
    /// Our own deadline passed.
    Deadline,
    /// The answer could not be understood.
    Decode,
    /// The permit was dropped before the statement ended.
    Abandoned,
    /// Nothing was sent: what failed is on our side.
    NotSent,
}

// === impl Purpose ===

impl Purpose {
    /// How many purposes there are.
    pub const COUNT: usize = 10;

    /// Every purpose, in the order of [`Purpose::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Connect,
        Self::Server,
        Self::Statements,
        Self::Texts,
        Self::Sessions,
        Self::Objects,
        Self::Sizes,
        Self::Catalogue,
        Self::Plans,
        Self::Control,
    ];

    /// The purpose as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Server => "server",
            Self::Statements => "statements",
            Self::Texts => "texts",
            Self::Sessions => "sessions",
            Self::Objects => "objects",
            Self::Sizes => "sizes",
            Self::Catalogue => "catalogue",
            Self::Plans => "plans",
            Self::Control => "control",
        }
    }

    /// Position in [`Purpose::ALL`], below [`Purpose::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind of work it is given up with.
    #[must_use]
    pub const fn class(self) -> CostClass {
        match self {
            Self::Plans => CostClass::Plans,
            Self::Sessions => CostClass::Sessions,
            Self::Sizes | Self::Objects => CostClass::Sizes,
            Self::Statements | Self::Texts | Self::Server | Self::Catalogue => CostClass::Statements,
            Self::Connect | Self::Control => CostClass::Connection,
        }
    }
}

// === impl CostClass ===

impl CostClass {
    /// Every class, first given up first.
    pub const ALL: [Self; 5] = [Self::Plans, Self::Sessions, Self::Sizes, Self::Statements, Self::Connection];

    /// The class as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plans => "plans",
            Self::Sessions => "sessions",
            Self::Sizes => "sizes",
            Self::Statements => "statements",
            Self::Connection => "connection",
        }
    }
}

// === impl StatementError ===

impl StatementError {
    /// The class as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlstate(_) => "server_error",
            Self::Connection => "connection",
            Self::Deadline => "deadline",
            Self::Decode => "decode",
            Self::Abandoned => "abandoned",
            Self::NotSent => "not_sent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_counted_and_shed_in_the_order_of_the_design() {
        assert!(Purpose::ALL.iter().enumerate().all(|(at, purpose)| purpose.index() == at));
        let order: Vec<_> = CostClass::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(order, ["plans", "sessions", "sizes", "statements", "connection"]);
        assert!(CostClass::ALL.is_sorted());
    }
}
