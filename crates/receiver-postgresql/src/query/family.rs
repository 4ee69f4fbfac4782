//! Families: rows of a view that become metric points. The SQL is built from the catalogue and from what the server has.

use std::fmt::Write as _;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{GapReason, MetricDefinition, NumberType, PointSource};
use dbintel_pipeline::admission::Purpose;

use super::facts::Facts;
use super::meter::Rows;
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
    /// When the counters of a row began: a `timestamptz` expression. A column can have its own.
    pub start: Option<&'static str>,
    /// Columns that are not simply columns of [`Self::view`].
    pub columns: &'static [Column],
    /// View whose columns can be named without further ado, and its alias in `from`.
    pub view: Option<(&'static str, &'static str)>,
    /// `WHERE`, `GROUP BY`, `ORDER BY`.
    pub tail: &'static str,
    /// Whether a server can be without any row of it.
    pub rows: Rows,
    /// Rows read at most; more are counted as cut.
    pub max_rows: usize,
    /// Whether rows of other roles, or their contents, are hidden from a role without `pg_read_all_stats`. What is left
    /// would look like a quiet server, so such a role is not given it at all.
    pub of_all_roles: bool,
    /// Whether it is read only every `size_collection.collection_interval`, because it costs much or changes slowly.
    pub slow: bool,
    /// Whether it is read as rarely while it has no row: what it is about is there for long, or not at all.
    pub rarely_if_empty: bool,
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
    /// When its counter began, where it is read from another view than the rest of the row.
    pub start: Option<&'static str>,
}

/// A family as it is read from one server: the SQL, and what its columns become.
#[derive(Debug)]
pub struct FamilyPlan {
    /// The family.
    pub family: &'static Family,
    /// The text of the query.
    pub text: String,
    /// Number of text columns with labels, before the start columns.
    pub label_columns: usize,
    /// Number of columns that say when counters began, before the values.
    pub start_columns: usize,
    /// What each value column becomes.
    pub points: Vec<PlannedPoint>,
    /// Enabled metrics that this server cannot have, with the column that is missing.
    pub unavailable: Vec<(&'static MetricDefinition, &'static str)>,
}

/// What one value column becomes.
#[derive(Clone, Copy, Debug)]
pub struct PlannedPoint {
    /// The metric.
    pub metric: &'static MetricDefinition,
    /// Where its value comes from.
    pub source: &'static PointSource,
    /// Which of the start columns says when its counter began.
    pub start: usize,
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
        let mut starts = vec![self.start];
        for metric in METRICS.iter().filter(|metric| metric.family == self.name && wanted(metric)) {
            for source in metric.sources {
                match self.expression(facts, source.column).filter(|_| present) {
                    Some((expression, own_start)) => {
                        let cast = match metric.number {
                            NumberType::Int => "int8",
                            NumberType::Double => "float8",
                        };
                        // Writing to a string cannot fail.
                        let _ = write!(values, ", ({expression})::{cast}");
                        let start = position_or_push(&mut starts, own_start.or(self.start));
                        points.push(PlannedPoint { metric, source, start });
                    }
                    None => unavailable.push((metric, source.column)),
                }
            }
        }
        if points.is_empty() {
            return Err(unavailable);
        }
        let labels = self.label_expressions();
        let start_texts: Vec<_> =
            starts.iter().map(|start| start.map_or_else(|| "NULL::int8".to_owned(), micros)).collect();
        let mut text = String::from("SELECT ");
        for label in &labels {
            let _ = write!(text, "({label})::text, ");
        }
        let (starts_text, max_rows) = (start_texts.join(", "), self.max_rows + 1);
        let _ = write!(text, "{starts_text}{values} FROM {} {} LIMIT {max_rows}", self.from, self.tail);
        let (label_columns, start_columns) = (labels.len(), start_texts.len());
        Ok(FamilyPlan { family: self, text, label_columns, start_columns, points, unavailable })
    }

    /// The expression of a column that this server has, and that of its own start.
    fn expression(&self, facts: &Facts, column: &str) -> Option<(String, Option<&'static str>)> {
        let has =
            |needs: Option<(&str, &str)>| needs.is_none_or(|(view, column)| facts.has_column(view, column));
        let mut named = self.columns.iter().filter(|named| named.name == column).peekable();
        if named.peek().is_some() {
            let found = named.find(|named| has(named.needs))?;
            return Some((found.expression.to_owned(), found.start));
        }
        let (view, alias) = self.view?;
        facts.has_column(view, column).then(|| (format!("{alias}.{column}"), None))
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

/// Where the item is, after it was added if it was not there.
fn position_or_push<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|held| *held == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
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
        // Made by the statements poll itself, from what it reads anyway, and from the server's log.
        let own = ["statements_info", "log"];
        for metric in &METRICS {
            assert!(
                families.contains(metric.family) || own.contains(&metric.family),
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
        let names: BTreeSet<_> = plan.points.iter().map(|point| point.metric.name).collect();
        assert_eq!(names, BTreeSet::from(["postgresql.backends", "postgresql.commits"]));
        assert!(plan.unavailable.iter().any(|(metric, column)| {
            metric.name == "postgresql.session.time" && *column == "active_time"
        }));
        assert!(plan.text.contains("(s.xact_commit)::int8"), "{}", plan.text);
    }
}
