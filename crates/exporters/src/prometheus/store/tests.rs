use std::sync::Arc;

use dbintel_model::{Labels as PointLabels, Text};

use super::*;
use crate::harness::{batch, gap, point, server};

fn config() -> StoreConfig {
    StoreConfig {
        namespace: String::new(),
        const_labels: BTreeMap::new(),
        suffixes: true,
        resource_labels: false,
        expiration: Duration::from_secs(300),
        max_series: 100,
    }
}

fn labels(resource: &[(&'static str, &'static str)], point: &[(&'static str, &'static str)]) -> PointLabels {
    let attributes = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().map(|(key, value)| Attribute::new(*key, *value)).collect()
    };
    PointLabels { resource: attributes(resource), point: attributes(point) }
}

fn commits(database: &'static str, value: i64) -> Record {
    point("postgresql.commits", labels(&[], &[("db.namespace", database)]), Number::Int(value))
}

fn series(store: &Store) -> Vec<(String, String, Number)> {
    let families = store.families();
    let series = families.iter().flat_map(|family| {
        family.series.iter().map(|(labels, sample)| (family.name.clone(), labels.to_string(), sample.value))
    });
    series.collect()
}

#[test]
fn the_latest_point_of_each_series_is_kept() {
    let mut store = Store::new(config());
    let now = Monotonic::default();
    let stored = store.update(&batch(&server(), vec![commits("a", 1), commits("b", 2), gap("x")]), now);
    assert_eq!(stored, Stored { points: 2, refused: 0 });
    store.update(&batch(&server(), vec![commits("a", 3)]), now);
    let name = "postgresql_commits_total".to_owned();
    let written = |database: &str| {
        format!("db_namespace=\"{database}\",server_address=\"db.example\",server_port=\"5432\"")
    };
    let expected = [(name.clone(), written("a"), Number::Int(3)), (name, written("b"), Number::Int(2))];
    assert_eq!(series(&store), expected);
    let target = "server_address=\"db.example\",server_port=\"5432\",service_name=\"orders\"";
    assert_eq!(store.targets().collect::<Vec<_>>(), [target]);
}

#[test]
fn labels_are_named_escaped_and_joined() {
    let config = StoreConfig {
        const_labels: BTreeMap::from([("team".to_owned(), "dba".to_owned())]),
        resource_labels: true,
        ..config()
    };
    let mut store = Store::new(config);
    let labels = labels(&[("table", "t")], &[("a.b", "1"), ("a_b", "2"), ("text", "q\"\\\n")]);
    let record = point("postgresql.uptime", labels, Number::Double(1.5));
    store.update(&batch(&server(), vec![record]), Monotonic::default());
    let expected = "a_b=\"1;2\",server_address=\"db.example\",server_port=\"5432\",service_name=\"orders\",\
                    table=\"t\",team=\"dba\",text=\"q\\\"\\\\\\n\"";
    assert_eq!(series(&store)[0].1, expected);
}

#[test]
fn series_are_bounded_and_those_that_are_there_go_on() {
    let mut store = Store::new(StoreConfig { max_series: 3, ..config() });
    let now = Monotonic::default();
    let records = vec![commits("a", 1), commits("b", 1)];
    assert_eq!(store.update(&batch(&server(), records), now), Stored { points: 2, refused: 0 });
    // The target's own series is the third.
    let records = vec![commits("a", 2), commits("c", 1), commits("d", 1)];
    assert_eq!(store.update(&batch(&server(), records), now), Stored { points: 1, refused: 2 });
    assert_eq!(series(&store).len(), 2);
    store.expire(now.plus(Duration::from_secs(301)));
    let records = vec![commits("c", 1), commits("d", 1)];
    assert_eq!(store.update(&batch(&server(), records), now), Stored { points: 2, refused: 0 });
}

#[test]
fn what_is_not_seen_any_more_is_dropped() {
    let mut store = Store::new(config());
    let start = Monotonic::default();
    let other = Arc::new(Server {
        receiver: Text::Static("postgresql"),
        system: Text::Static("postgresql"),
        address: Text::Static("other"),
        port: 1,
        resource: Vec::new(),
    });
    store.update(&batch(&server(), vec![commits("a", 1), commits("b", 1)]), start);
    store.update(&batch(&other, vec![commits("a", 1)]), start);
    store.update(&batch(&server(), vec![commits("a", 1)]), start.plus(Duration::from_secs(200)));
    store.expire(start.plus(Duration::from_secs(300)));
    assert_eq!((series(&store).len(), store.targets().count()), (3, 2));
    store.expire(start.plus(Duration::from_secs(301)));
    assert_eq!((series(&store).len(), store.targets().count()), (1, 1));
    store.expire(start.plus(Duration::from_secs(501)));
    assert_eq!((series(&store).len(), store.targets().count()), (0, 0));
    assert!(store.families().is_empty());
}
