//! From rows to metric points: labels by layout, values by the catalogue, starts by what is known. Pure but for reading
//! the row's columns.

use std::sync::Arc;

use dbintel_model::{
    Attribute, Labels, MetricPoint, Number, NumberType, Record, ResourceLayout, Text, Timestamp,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::query::family::{FamilyPlan, Label, PlannedPoint};
use crate::state::start_times::{SeriesId, StartTimes};

/// What a row's points need to know beyond the row.
#[derive(Debug)]
pub struct Decoder<'a> {
    /// How objects appear in OTLP.
    pub layout: ResourceLayout,
    /// The connected database.
    pub database: &'a Text,
    /// When the row was read, by the server's clock.
    pub time: Timestamp,
    /// Start times of sums.
    pub starts: &'a mut StartTimes,
}

impl Decoder<'_> {
    /// Appends the points of a row. A value that is NULL gives no point: unknown is not zero. Says whether there was
    /// such a value.
    ///
    /// # Errors
    /// If a column is not of the type the query asked for.
    pub fn row(
        &mut self,
        plan: &FamilyPlan,
        row: &PgRow,
        records: &mut Vec<Record>,
    ) -> Result<bool, sqlx::Error> {
        let texts: Vec<Option<String>> =
            (0..plan.label_columns).map(|index| row.try_get(index)).collect::<Result<_, _>>()?;
        let labels = Arc::new(labels(self.layout, self.database, plan.family.labels, texts));
        let resets: Vec<Option<i64>> = (0..plan.start_columns)
            .map(|index| row.try_get(plan.label_columns + index))
            .collect::<Result<_, _>>()?;
        let mut unknown = false;
        for (offset, PlannedPoint { metric, source, start }) in plan.points.iter().enumerate() {
            let index = plan.label_columns + plan.start_columns + offset;
            let value = match metric.number {
                NumberType::Int => row.try_get::<Option<i64>, _>(index)?.map(Number::Int),
                NumberType::Double => row.try_get::<Option<f64>, _>(index)?.map(Number::Double),
            };
            let Some(value) = value else {
                unknown = true;
                continue;
            };
            let reset = resets.get(*start).copied().flatten();
            let start = metric.instrument.is_sum().then(|| {
                let known = reset.filter(|_| metric.is_monotonic()).map(Timestamp::from_micros);
                known.unwrap_or_else(|| {
                    let id = SeriesId::new(metric, &labels, source.fixed);
                    self.starts.start(id, value, metric.is_monotonic(), self.time)
                })
            });
            let (labels, fixed, time) = (Arc::clone(&labels), source.fixed, self.time);
            records.push(Record::Metric(MetricPoint { metric, labels, fixed, value, start, time }));
        }
        Ok(unknown)
    }
}

/// The attributes of a row.
fn labels(layout: ResourceLayout, connected: &Text, kinds: &[Label], texts: Vec<Option<String>>) -> Labels {
    let mut labels = Labels::default();
    let mut texts = texts.into_iter();
    let mut next = || texts.next().flatten();
    // The database goes first, and a schema is written behind it, so it is held back until it is complete.
    let (mut database, mut table, mut rest) = (None, None, Vec::new());
    for kind in kinds {
        match kind {
            Label::Database(_) => database = next().map(Text::from),
            Label::Schema(_) => {
                let schema = next().unwrap_or_default();
                database = Some(namespace(layout, connected, &schema));
            }
            Label::Table(..) => {
                let (schema, name) = (next().unwrap_or_default(), next().unwrap_or_default());
                database = Some(namespace(layout, connected, &schema));
                table = Some(match layout {
                    ResourceLayout::Server => name,
                    ResourceLayout::Contrib => format!("{schema}.{name}"),
                });
            }
            Label::Index(_) => rest.extend(next().map(|index| ("postgresql.index.name", index, true))),
            Label::Plain(key, _) => rest.extend(next().map(|value| (*key, value, false))),
        }
    }
    let (database_key, table_key, objects) = match layout {
        ResourceLayout::Server => ("db.namespace", "db.collection.name", &mut labels.point),
        ResourceLayout::Contrib => {
            ("postgresql.database.name", "postgresql.table.name", &mut labels.resource)
        }
    };
    objects.extend(database.map(|database| Attribute::new(database_key, database)));
    objects.extend(table.map(|table| Attribute::new(table_key, table)));
    for (key, value, is_object) in rest {
        let list = if is_object && layout == ResourceLayout::Contrib {
            &mut labels.resource
        } else {
            &mut labels.point
        };
        list.push(Attribute::new(key, value));
    }
    labels
}

/// `db.namespace` of something in a schema: database and schema with a bar between them, as semantic conventions have
/// it; contrib's layout has the database alone.
fn namespace(layout: ResourceLayout, database: &Text, schema: &str) -> Text {
    match layout {
        ResourceLayout::Server => format!("{database}|{schema}").into(),
        ResourceLayout::Contrib => database.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        layout: ResourceLayout,
        kinds: &[Label],
        texts: &[&str],
        resource: &[(&str, &str)],
        point: &[(&str, &str)],
    ) {
        let texts = texts.iter().map(|text| Some((*text).to_owned())).collect();
        let labels = labels(layout, &"app".into(), kinds, texts);
        let pairs = |attributes: &[Attribute]| -> Vec<(String, String)> {
            attributes.iter().map(|a| (a.key.to_string(), format!("{:?}", a.value))).collect()
        };
        let expected = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), format!("Text({value:?})"))).collect()
        };
        assert_eq!((pairs(&labels.resource), pairs(&labels.point)), (expected(resource), expected(point)));
    }

    const INDEX: [Label; 3] = [Label::Database("d"), Label::Table("s", "t"), Label::Index("i")];

    #[test]
    fn objects_are_attributes_of_the_point_by_default() {
        let point = [
            ("db.namespace", "app|public"),
            ("db.collection.name", "orders"),
            ("postgresql.index.name", "pk"),
        ];
        check(ResourceLayout::Server, &INDEX, &["app", "public", "orders", "pk"], &[], &point);
    }

    #[test]
    fn objects_are_resources_in_the_layout_of_contrib() {
        let resource = [
            ("postgresql.database.name", "app"),
            ("postgresql.table.name", "public.orders"),
            ("postgresql.index.name", "pk"),
        ];
        check(ResourceLayout::Contrib, &INDEX, &["app", "public", "orders", "pk"], &resource, &[]);
        let client = [Label::Plain("replication_client", "c")];
        check(ResourceLayout::Contrib, &client, &["unix"], &[], &[("replication_client", "unix")]);
    }
}
