use dbintel_model::ManualClock;
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

fn world() -> (Arc<ManualClock>, Overrides) {
    let clock = Arc::new(ManualClock::at(START));
    (Arc::clone(&clock), Overrides::new(clock))
}

fn bypass(text: &str) -> Order {
    Order::Bypass(text.parse().unwrap())
}

fn hold(scope: Scope, position: Position) -> Order {
    Order::Hold(Circuit { receiver: "postgresql".into(), scope, position })
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn each_level_takes_away_what_it_names_and_nothing_else() {
    let (_, overrides) = world();
    let (one, other) = (Text::from("postgresql"), Text::from("postgresql/other"));
    let off = |receiver, feature| overrides.of_feature(receiver, feature).map(|(entry, _)| entry.level());
    assert_eq!(off(&one, "statements"), None);
    overrides.set(bypass("receivers/postgresql:statements"), "it is slow", MINUTE, false).unwrap();
    assert_eq!((off(&one, "statements"), off(&one, "sessions")), (Some("feature"), None));
    assert_eq!(off(&other, "statements"), None);
    overrides.set(bypass("receivers/postgresql"), "load", MINUTE, false).unwrap();
    assert_eq!((off(&one, "sessions"), off(&other, "sessions")), (Some("component"), None));
    overrides.set(bypass("system"), "load", MINUTE, true).unwrap();
    assert_eq!((off(&one, "statements"), off(&other, "sessions")), (Some("startup"), Some("startup")));
    let (sampler, backend) = (Text::from("adaptive_sampler"), Text::from("otlp/a"));
    assert!(!overrides.is_processor_off(&sampler) && !overrides.is_exporter_off(&backend));
    overrides.set(bypass("processors/adaptive_sampler"), "all of it", MINUTE, false).unwrap();
    overrides.set(bypass("exporters/otlp/a"), "it bills", MINUTE, false).unwrap();
    assert!(overrides.is_processor_off(&sampler) && overrides.is_exporter_off(&backend));
    assert!(!overrides.is_processor_off(&backend) && !overrides.is_exporter_off(&sampler));
}

#[test]
fn an_override_ends_by_itself_whatever_the_wall_clock_does() {
    let (clock, overrides) = world();
    overrides.set(bypass("system"), "load", MINUTE, false).unwrap();
    clock.set_wall(Timestamp::from_nanos(1));
    clock.advance(MINUTE - Duration::from_nanos(1));
    assert!(overrides.of_feature(&"a".into(), "b").is_some() && overrides.expire().is_empty());
    clock.advance(Duration::from_nanos(1));
    assert!(overrides.of_feature(&"a".into(), "b").is_none() && overrides.list().is_empty());
    assert_eq!(overrides.expire().len(), 1);
    assert!(overrides.is_empty());
}

#[test]
fn a_breaker_is_held_in_one_position() {
    let (_, overrides) = world();
    overrides.set(hold(Scope::Server, Position::Open), "load", MINUTE, false).unwrap();
    overrides.set(hold(Scope::Server, Position::Closed), "it is well", MINUTE, false).unwrap();
    overrides.set(hold(Scope::Database(None), Position::Open), "load", MINUTE, false).unwrap();
    let positions: Vec<String> = overrides.list().iter().map(|(entry, _)| entry.order.to_string()).collect();
    assert_eq!(
        positions,
        [
            "closed before receivers/postgresql: server",
            "open before receivers/postgresql: what is asked of the server as a whole"
        ]
    );
    assert!(overrides.clear(&hold(Scope::Server, Position::Open)).is_some());
    assert_eq!(overrides.list().len(), 1);
}

#[test]
fn what_is_wrong_with_an_order_is_said() {
    let (_, overrides) = world();
    let set = |reason: &str, lasts| overrides.set(bypass("system"), reason, lasts, false);
    assert_eq!(set(" ", MINUTE), Err(OverrideError::NoReason));
    assert_eq!(set(&"x".repeat(501), MINUTE), Err(OverrideError::LongReason(501)));
    assert_eq!(set("x", Duration::from_millis(999)), Err(OverrideError::Duration));
    assert_eq!(set("x", MAX_OVERRIDE_DURATION + MINUTE), Err(OverrideError::Duration));
    for n in 0..MAX_OVERRIDES {
        overrides.set(bypass(&format!("exporters/e{n}")), "x", MINUTE, false).unwrap();
    }
    assert_eq!(set("x", MINUTE), Err(OverrideError::TooMany));
    overrides.set(bypass("exporters/e3"), "again", MINUTE, false).unwrap();
    for wrong in ["", "systems", "receivers", "receivers/", "receivers/a:", "processors/a:b", "exporter/a"] {
        assert_eq!(wrong.parse::<Bypass>(), Err(UnknownBypass(wrong.to_owned())));
    }
}

#[test]
fn after_a_restart_what_is_left_goes_on() {
    let (clock, overrides) = world();
    overrides.set(bypass("system"), "load", MINUTE, false).unwrap();
    overrides.set(bypass("receivers/a"), "load", 3 * MINUTE, false).unwrap();
    let kept: Vec<Override> = overrides.list().into_iter().map(|(entry, _)| entry).collect();
    clock.advance(2 * MINUTE);
    let again = Overrides::new(Arc::clone(&clock) as Arc<dyn Clock>);
    assert_eq!(again.restore(kept), 0);
    let [(entry, left)] = again.list().try_into().unwrap();
    assert_eq!((entry.order, left), (bypass("receivers/a"), MINUTE));
}

proptest! {
    #[test]
    fn a_bypass_reads_as_it_is_written(text in "(receivers|processors|exporters)/[a-z_]{1,8}(/[a-z0-9]{1,5})?(:[a-z ]{1,8})?") {
        if let Ok(bypass) = text.parse::<Bypass>() {
            prop_assert_eq!(bypass.to_string(), text);
        }
    }
}
