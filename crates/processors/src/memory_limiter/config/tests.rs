use super::*;

const MIB: u64 = 1 << 20;

fn container(mib: u64) -> Option<AvailableMemory> {
    Some(AvailableMemory { bytes: mib * MIB, source: MemorySource::Container })
}

fn machine(mib: u64) -> Option<AvailableMemory> {
    Some(AvailableMemory { bytes: mib * MIB, source: MemorySource::Machine })
}

fn read(json: &str) -> MemoryLimiterSettings {
    serde_json::from_str(json).unwrap()
}

fn resolve(
    json: &str,
    available: Option<AvailableMemory>,
) -> Result<(u64, u64), (&'static str, MemoryLimiterError)> {
    let limits = read(json).validate().and_then(|config| config.resolve(available));
    limits
        .map(|resolved| {
            let limits = resolved.limits;
            (limits.soft_bytes / MIB, limits.hard_bytes / MIB)
        })
        .map_err(|error| (error.key(), error))
}

#[test]
fn the_collectors_settings_mean_what_they_mean_there() {
    let check = |json, available, soft_and_hard| {
        assert_eq!(resolve(json, available), Ok(soft_and_hard), "{json}");
    };
    check(r#"{"limit_mib": 500}"#, None, (400, 500));
    check(r#"{"limit_mib": 500, "spike_limit_mib": 50}"#, container(1000), (450, 500));
    check(r#"{"limit_percentage": 50}"#, container(1000), (400, 500));
    check(r#"{"limit_percentage": 80, "spike_limit_percentage": 25}"#, container(1000), (550, 800));
}

#[test]
fn soft_and_hard_can_be_written_each_alone_or_together() {
    let check = |json, soft_and_hard| {
        assert_eq!(resolve(json, container(1000)), Ok(soft_and_hard), "{json}");
    };
    check(r#"{"soft_limit": "300MiB", "hard_limit": "400MiB"}"#, (300, 400));
    check(r#"{"soft_limit": "60%", "hard_limit": "75%"}"#, (600, 750));
    check(r#"{"soft_limit": "400MiB"}"#, (400, 500));
    check(r#"{"hard_limit": "500MiB"}"#, (400, 500));
}

#[test]
fn with_nothing_written_the_limit_follows_the_container_and_is_modest_on_a_machine() {
    let check = |available, hard| assert_eq!(resolve("{}", available).map(|(_, hard)| hard), Ok(hard));
    check(container(1000), 800);
    check(container(20), 32);
    check(machine(1000), 800);
    check(machine(256 * 1024), 2048);
    check(None, 512);
    assert_eq!(read("{}").validate().unwrap(), MemoryLimiterConfig::default());
}

#[test]
fn nonsense_is_refused_and_names_the_setting() {
    let check = |json, available, key: &str| {
        let (found, error) = resolve(json, available).unwrap_err();
        assert_eq!(found, key, "{json}: {error}");
    };
    check(r#"{"check_interval": "0s"}"#, None, "check_interval");
    check(r#"{"limit_mib": 0}"#, None, "limit_mib");
    check(r#"{"limit_mib": 31}"#, None, "limit_mib");
    check(r#"{"limit_mib": 100, "spike_limit_mib": 0}"#, None, "spike_limit_mib");
    check(r#"{"limit_mib": 100, "spike_limit_mib": 100}"#, None, "spike_limit_mib");
    check(r#"{"spike_limit_mib": 100}"#, None, "spike_limit_mib");
    check(r#"{"spike_limit_percentage": 10}"#, None, "spike_limit_percentage");
    check(
        r#"{"limit_percentage": 20, "spike_limit_percentage": 20}"#,
        container(1000),
        "spike_limit_percentage",
    );
    check(r#"{"limit_mib": 100, "limit_percentage": 80}"#, None, "limit_percentage");
    check(r#"{"limit_mib": 100, "soft_limit": "1GiB"}"#, None, "soft_limit");
    check(r#"{"limit_mib": 100, "spike_limit_percentage": 20}"#, None, "spike_limit_percentage");
    check(r#"{"limit_percentage": 80}"#, None, "limit_percentage");
    check(r#"{"limit_percentage": 1}"#, container(1000), "limit_percentage");
    check(r#"{"hard_limit": "80%"}"#, None, "hard_limit");
    check(r#"{"soft_limit": "900MiB", "hard_limit": "80%"}"#, container(1000), "soft_limit");
    check(r#"{"min_gc_interval_when_soft_limited": "10s"}"#, None, "min_gc_interval_when_soft_limited");
}

#[test]
fn a_limit_above_the_memory_there_is_gets_a_warning() {
    let config = read(r#"{"limit_mib": 2000}"#).validate().unwrap();
    let warning = |available| config.resolve(available).unwrap().warning;
    assert!(warning(container(1000)).unwrap().contains("1000.0 MiB"));
    assert_eq!((warning(container(4000)), warning(None)), (None, None));
}

#[test]
fn yaml_is_read_as_people_write_it() {
    let settings: MemoryLimiterSettings = dbintel_config::from_yaml(
        "{check_interval: 5s, limit_percentage: 80, spike_limit_percentage: 25%, min_gc_interval_when_soft_limited: 10s}",
    )
    .unwrap();
    let error = settings.validate().unwrap_err();
    assert_eq!(error.key(), "min_gc_interval_when_soft_limited");
    assert!(error.to_string().contains("garbage collector"), "{error}");
}

#[test]
fn unknown_settings_are_errors() {
    assert!(serde_json::from_str::<MemoryLimiterSettings>(r#"{"limit_mb": 5}"#).is_err());
}

#[test]
fn the_schema_has_the_settings_that_work_and_no_others() {
    let schema = schemars::schema_for!(MemoryLimiterSettings);
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    assert!(properties.contains_key("limit_percentage") && properties.contains_key("hard_limit"));
    assert!(!properties.keys().any(|key| key.contains("gc")));
}
