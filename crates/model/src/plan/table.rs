//! Tables that a statement reaches, as the catalogue has them when its plan is made.

use crate::Text;

/// A table, partition, partitioned table, view or foreign table that a statement reaches.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTable {
    /// Its schema.
    pub schema: Text,
    /// Its name.
    pub name: Text,
    /// Rows by `pg_class.reltuples`, which is of the last `ANALYZE` or `VACUUM`; `None` where there has been none.
    pub rows: Option<f64>,
    /// Pages by `pg_class.relpages`, of the same time; `None` where they are not known or it has none of its own.
    pub pages: Option<i64>,
    /// What it is a partition or a child of, as `schema.table`.
    pub parent: Option<Text>,
}

// === impl PlanTable ===

impl PlanTable {
    /// As changes name it, `schema.table`.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Bytes it takes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.schema.len()
            + self.name.len()
            + self.parent.as_ref().map_or(0, |parent| parent.len())
    }
}
