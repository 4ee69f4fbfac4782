//! One short name for each source of rows that expressions use it by.

use std::borrow::Cow;

/// The most different tables and aliases that are told apart. Further ones go by their alias or table name alone.
pub const MAX_QUALIFIERS: usize = 256;

/// The names of a table as an element gives them, without brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableNames<'a> {
    // What differs most comes first: names are compared in this order.
    pub(super) table: Cow<'a, str>,
    pub(super) alias: Cow<'a, str>,
    pub(super) schema: Cow<'a, str>,
    pub(super) database: Cow<'a, str>,
}

/// The qualifiers that were given, in the order of first use.
///
/// SQL Server lets two subqueries use the same alias for different tables. Here the second gets a number, as PostgreSQL does
/// it, so that an alias means one table throughout a plan.
#[derive(Default)]
pub(super) struct Qualifiers {
    given: Vec<Given>,
    /// The place of the one that was asked for last.
    last: usize,
}

struct Given {
    names: TableNames<'static>,
    qualifier: String,
}

impl Qualifiers {
    /// The qualifier of columns of this table.
    pub(super) fn of<'q>(&'q mut self, names: &'q TableNames<'_>) -> Cow<'q, str> {
        let base: &str = if names.alias.is_empty() { &names.table } else { &names.alias };
        let is_wanted = |given: &Given| given.names == *names;
        let known = if self.given.get(self.last).is_some_and(is_wanted) {
            Some(self.last)
        } else {
            self.given.iter().position(is_wanted)
        };
        if let Some(at) = known {
            self.last = at;
            return self.given.get(at).map_or(Cow::Borrowed(base), |given| Cow::Borrowed(&given.qualifier));
        }
        if self.given.len() >= MAX_QUALIFIERS {
            return Cow::Borrowed(base);
        }
        let is_taken = |name: &str| self.given.iter().any(|given| given.qualifier == name);
        let mut qualifier = base.to_owned();
        let mut number = 1;
        while is_taken(&qualifier) {
            qualifier = format!("{base}_{number}");
            number += 1;
        }
        let own = |name: &Cow<'_, str>| Cow::Owned(name.clone().into_owned());
        let names = TableNames {
            database: own(&names.database),
            schema: own(&names.schema),
            table: own(&names.table),
            alias: own(&names.alias),
        };
        self.given.push(Given { names, qualifier });
        self.given.last().map_or(Cow::Borrowed(""), |given| Cow::Borrowed(&given.qualifier))
    }
}
