//! Families: rows of a view that become metric points. The SQL is built from the catalogue and from what the server has.

use std::fmt::Write as _;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{GapReason, MetricDefinition, NumberType, PointSource};
use dbintel_pipeline::admission::Purpose;

use super::facts::Facts;
use super::sql::micros;

/// Rows of one kind.
#[derive(Debug)]
pub struct Family {
    /// Name, as the catalogue's metrics refer to it.
    pub name: &'static str,
    /// Whether it is read once per server or in every database.
    pub scope: Scope,
    /// What its cost is booked under.
    pub purpose: Purpose,
    /// View that must exist for the family to be read.
    pub needs: Option<&'static str>,
    /// `FROM` clause.
    pub from: &'static str,
    /// What each row is about.
    pub labels: &'static [Label],
    /// When the counters of a row began: a `timestamptz` expression.
    pub start: Option<&'static str>,
    /// Columns that are not simply columns of [`Self::view`].
    pub columns: &'static [Column],
    /// View whose columns can be named without further ado, and its alias in `from`.
    pub view: Option<(&'static str, &'static str)>,
    /// `WHERE`, `GROUP BY`, `ORDER BY`.
    pub tail: &'static str,
    /// Rows read at most; more are counted as cut.
    pub max_rows: usize,
    /// Whether rows of other roles, or their contents, are hidden from a role without `pg_read_all_stats`. What is left
    /// would look like a quiet server, so such a role is not given it at all.
    pub of_all_roles: bool,
    /// Whether it is read only every `size_collection.collection_interval`, because it costs much or changes slowly.
    pub slow: bool,
    /// What it means when a value is NULL, where it means that the value could not be had.
    pub null_means: Option<NullMeans>,
}

/// Why values of a family can be NULL, and what to do.
pub type NullMeans = (GapReason, &'static str);

/// Where a family is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Once per server, from any database.
    Server,
    /// In every database.
    Database,
}

/// An attribute, or several, of a row.
#[derive(Debug, PartialEq)]
pub enum Label {
    /// The database, from an expression. In a family of [`Scope::Database`] it is the connected one.
    Database(&'static str),
    /// A schema of the connected database.
    Schema(&'static str),
    /// A table: expressions of schema and name.
    Table(&'static str, &'static str),
    /// An index of the table named before.
    Index(&'static str),
    /// Any other attribute, by name and expression.
    Plain(&'static str, &'static str),
}

/// A column that needs an expression.
#[derive(Debug)]
pub struct Column {
    /// Name, as the catalogue's metrics refer to it.
    pub name: &'static str,
    /// View and column that must exist for it; the first entry whose needs are met is taken.
    pub needs: Option<(&'static str, &'static str)>,
    /// SQL expression.
    pub expression: &'static str,
}

/// A family as it is read from one server: the SQL, and what its columns become.
#[derive(Debug)]
pub struct FamilyPlan {
    /// The family.
    pub family: &'static Family,
    /// The text of the query.
    pub text: String,
    /// Number of text columns with labels, before the start column and the values.
    pub label_columns: usize,
    /// What each value column becomes.
    pub points: Vec<(&'static MetricDefinition, &'static PointSource)>,
    /// Enabled metrics that this server cannot have, with the column that is missing.
    pub unavailable: Vec<(&'static MetricDefinition, &'static str)>,
}

impl Family {
    /// How to read the family, with those of its metrics that are wanted; `None` if none of them can be read.
    pub fn plan(
        &'static self,
        facts: &Facts,
        wanted: impl Fn(&MetricDefinition) -> bool,
    ) -> Result<FamilyPlan, Vec<(&'static MetricDefinition, &'static str)>> {
        let present = self.needs.is_none_or(|view| facts.has_view(view));
        let (mut points, mut unavailable, mut values) = (Vec::new(), Vec::new(), String::new());
        for metric in METRICS.iter().filter(|metric| metric.family == self.name && wanted(metric)) {
            for source in metric.sources {
                match self.expression(facts, source.column).filter(|_| present) {
                    Some(expression) => {
                        let cast = match metric.number {
                            NumberType::Int => "int8",
                            NumberType::Double => "float8",
                        };
                        // Writing to a string cannot fail.
                        let _ = write!(values, ", ({expression})::{cast}");
                        points.push((metric, source));
                    }
                    None => unavailable.push((metric, source.column)),
                }
            }
        }
        if points.is_empty() {
            return Err(unavailable);
        }
        let labels = self.label_expressions();
        let start = self.start.map_or_else(|| "NULL::int8".to_owned(), micros);
        let mut text = String::from("SELECT ");
        for label in &labels {
            let _ = write!(text, "({label})::text, ");
        }
        let _ = write!(text, "{start}{values} FROM {} {} LIMIT {}", self.from, self.tail, self.max_rows + 1);
        Ok(FamilyPlan { family: self, text, label_columns: labels.len(), points, unavailable })
    }

    fn expression(&self, facts: &Facts, column: &str) -> Option<String> {
        let has =
            |needs: Option<(&str, &str)>| needs.is_none_or(|(view, column)| facts.has_column(view, column));
        let mut named = self.columns.iter().filter(|named| named.name == column).peekable();
        if named.peek().is_some() {
            return named.find(|named| has(named.needs)).map(|named| named.expression.to_owned());
        }
        let (view, alias) = self.view?;
        facts.has_column(view, column).then(|| format!("{alias}.{column}"))
    }

    fn label_expressions(&self) -> Vec<&'static str> {
        let mut expressions = Vec::new();
        for label in self.labels {
            match label {
                Label::Database(expression)
                | Label::Schema(expression)
                | Label::Index(expression)
                | Label::Plain(_, expression) => {
                    expressions.push(*expression);
                }
                Label::Table(schema, table) => expressions.extend([*schema, *table]),
            }
        }
        expressions
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::query::family_table::FAMILIES;

    #[test]
    fn every_metric_of_the_catalogue_has_its_family() {
        let families: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(families.len(), FAMILIES.len(), "a family is there twice");
        // Made by the statements poll itself, from what it reads anyway.
        let own = "statements_info";
        for metric in &METRICS {
            assert!(
                families.contains(metric.family) || metric.family == own,
                "{}: {}",
                metric.name,
                metric.family
            );
        }
    }

    #[test]
    fn a_column_the_server_lacks_makes_its_metric_unavailable_and_no_other() {
        let family = FAMILIES.iter().find(|family| family.name == "database").unwrap();
        let facts = Facts::with_columns(&[
            ("pg_stat_database", "xact_commit"),
            ("pg_stat_database", "numbackends"),
            ("pg_stat_database", "stats_reset"),
        ]);
        let plan = family.plan(&facts, |metric| metric.enabled).unwrap();
        let names: BTreeSet<_> = plan.points.iter().map(|(metric, _)| metric.name).collect();
        assert_eq!(names, BTreeSet::from(["postgresql.backends", "postgresql.commits"]));
        assert!(plan.unavailable.iter().any(|(metric, column)| {
            metric.name == "postgresql.session.time" && *column == "active_time"
        }));
        assert!(plan.text.contains("(s.xact_commit)::int8"), "{}", plan.text);
    }
}
