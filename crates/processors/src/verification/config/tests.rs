//! What an operator may write, and what is answered.

use super::*;

fn read(yaml: &str) -> Result<Validated<VerificationConfig>, Vec<Complaint>> {
    dbintel_config::from_yaml::<VerificationSettings>(yaml).unwrap().validate()
}

#[track_caller]
fn refused(yaml: &str, fields: &[&str]) {
    let complaints = read(yaml).unwrap_err();
    assert_eq!(complaints.iter().map(|complaint| complaint.field.as_str()).collect::<Vec<_>>(), fields);
}

#[test]
fn nothing_written_is_the_default_and_has_nothing_to_say() {
    let validated = VerificationSettings::default().validate().unwrap();
    assert_eq!(validated, Validated { config: VerificationConfig::default(), notices: Vec::new() });
}

#[test]
fn everything_can_be_written() {
    let validated = read(
        "{cardinality: {max_values: 100, attributes: {db.collection.name: 5000}, forget_after: 30m},
          sizes: {max_text: 4KiB, max_record: 32KiB}, freshness: {max_age: 1h, max_future: 1m, action: count},
          privacy: {detectors: [email, iban]},
          budget: {max_bytes_per_minute: 1MiB, max_series: 1000, series_active_for: 5m, price_per_gib: 0.35,
                   price_per_1000_series_per_month: 8, currency: EUR}}",
    )
    .unwrap();
    assert_eq!(validated.notices, []);
    let config = validated.config;
    assert_eq!(config.max_values_of.get("db.collection.name"), Some(&5_000));
    assert_eq!((config.max_text_bytes, config.drop_untimely), (4_096, false));
    assert!(config.detectors.has(Detector::Iban) && !config.detectors.has(Detector::Token));
    assert_eq!(config.price_per_1000_series_per_month, Some(8.0));
}

#[test]
fn everything_wrong_is_told_at_once() {
    refused(
        "{cardinality: {max_values: 0, attributes: {db.namespace: 9000000}, forget_after: 1s},
          sizes: {max_text: 1, max_record: 1KiB}, freshness: {max_age: 1s, max_future: 0},
          budget: {max_bytes_per_minute: 0, max_series: 0, series_active_for: 1s, price_per_gib: -1, currency: 'a b'}}",
        &[
            "cardinality.max_values",
            "cardinality.attributes.db.namespace",
            "cardinality.forget_after",
            "sizes.max_text",
            "sizes.max_record",
            "freshness.max_age",
            "freshness.max_future",
            "budget.max_bytes_per_minute",
            "budget.max_series",
            "budget.series_active_for",
            "budget.price_per_gib",
            "budget.currency",
        ],
    );
}

#[test]
fn settings_without_an_effect_are_noticed() {
    let yaml = "{cardinality: {attributes: {no.such.attribute: 5}}, privacy: {detectors: []}, budget: {currency: EUR}}";
    let notices = read(yaml).unwrap().notices;
    let fields: Vec<_> = notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(fields, ["cardinality.attributes.no.such.attribute", "privacy.detectors", "budget.currency"]);
}

#[test]
fn unknown_settings_are_errors() {
    for yaml in [
        "{limit: 5}",
        "{sizes: {max_plan: 1}}",
        "{privacy: {detectors: [phone]}}",
        "{freshness: {action: keep}}",
    ] {
        assert!(dbintel_config::from_yaml::<VerificationSettings>(yaml).is_err(), "{yaml}");
    }
}
