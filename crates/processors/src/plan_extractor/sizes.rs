//! Sizes of the tables that a plan scans, as the server's catalogue has them: figures of the planner, not of the plan.

use std::fmt;

use dbintel_model::PlanTable;

/// Where the figures come from.
const SOURCE: &str = "pg_class";

/// The size of a table, in words; nothing where it is not known.
pub(super) struct Size<'a>(&'a PlanTable);

/// The size of the table that a plan names so; `None` without its schema, since a common table expression can have the name
/// of a table, and where nothing is known of it.
pub(super) fn size<'a>(
    tables: &'a [PlanTable],
    schema: Option<&str>,
    table: Option<&str>,
) -> Option<Size<'a>> {
    let (schema, table) = (schema?, table?);
    let found = tables.iter().find(|held| *held.name == *table && *held.schema == *schema)?;
    (found.rows.is_some() || found.pages.is_some()).then_some(Size(found))
}

impl fmt::Display for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.rows, self.0.pages) {
            (Some(rows), Some(pages)) => write!(f, "{rows:.0} rows in {pages} pages by {SOURCE}"),
            (Some(rows), None) => write!(f, "{rows:.0} rows by {SOURCE}"),
            (None, Some(pages)) => write!(f, "{pages} pages by {SOURCE}"),
            (None, None) => Ok(()),
        }
    }
}
