//! From settings to a configuration: everything that is wrong is named at once.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration as StdDuration;

use dbintel_config::{Checks, Complaint, Validated};
use dbintel_model::catalogue;

use super::super::rule::{Operator, Test};
use super::super::template;
use super::{
    ADAPTIVE_RATE_MIN, ATTRIBUTE_BYTES_MAX, AdaptiveSamplerConfig, AdaptiveSamplerSettings, BURST_MAX,
    CONDITIONS_MAX, Condition, ConditionSettings, DEDUP_ENTRIES_MAX, DEFAULT_RULE, DedupConfig,
    NAME_BYTES_MAX, PATTERNS_MAX, PER_MINUTE_MAX, RECORDS_PER_SECOND_MAX, RULES_MAX, Rate, Rule,
    RuleSettings, TIME_BUCKET_MAX, VALUE_BYTES_MAX,
};

pub(super) fn validate(
    settings: &AdaptiveSamplerSettings,
) -> Result<Validated<AdaptiveSamplerConfig>, Vec<Complaint>> {
    let mut checks = Checks::default();
    budget(settings, &mut checks);
    rates(settings, &mut checks);
    let time_bucket = settings.time_bucket.get();
    if time_bucket < StdDuration::from_secs(1) || time_bucket > TIME_BUCKET_MAX {
        checks.error("time_bucket", "must be from 1s to 1h");
    }
    let dedup = dedup(settings, &mut checks);
    let rules = rules(settings, &mut checks);
    let has_critical = rules.iter().any(|rule| rule.critical);
    let config = AdaptiveSamplerConfig {
        records_per_second: settings.max_records_per_second,
        reserved_share: if has_critical { settings.reserved_share } else { 0.0 },
        burst: settings.burst.get(),
        min_rate: settings.min_rate,
        max_rate: settings.max_rate,
        time_bucket,
        dedup,
        rules,
    };
    checks.finish(Some(config))
}

fn budget(settings: &AdaptiveSamplerSettings, checks: &mut Checks) {
    if settings.max_records_per_second == 0 || settings.max_records_per_second > RECORDS_PER_SECOND_MAX {
        checks.error("max_records_per_second", format!("must be from 1 to {RECORDS_PER_SECOND_MAX}"));
    }
    if !(settings.reserved_share > 0.0 && settings.reserved_share < 1.0) {
        checks
            .error("reserved_share", "must be above 0 and below 1: it is a share of max_records_per_second");
    }
    let burst = settings.burst.get();
    if burst < StdDuration::from_secs(1) || burst > BURST_MAX {
        checks.error("burst", "must be from 1s to 60s");
    }
}

fn rates(settings: &AdaptiveSamplerSettings, checks: &mut Checks) {
    let is_rate = |rate: f64| (ADAPTIVE_RATE_MIN..=1.0).contains(&rate);
    if !is_rate(settings.min_rate) {
        let message =
            format!("must be from {ADAPTIVE_RATE_MIN} to 1: a rate of 0 would hide records for ever");
        checks.error("min_rate", message);
    }
    if !is_rate(settings.max_rate) {
        checks.error("max_rate", format!("must be from {ADAPTIVE_RATE_MIN} to 1"));
    } else if settings.min_rate > settings.max_rate {
        checks.error("min_rate", "must not be above max_rate");
    }
}

fn dedup(settings: &AdaptiveSamplerSettings, checks: &mut Checks) -> Option<DedupConfig> {
    let (window, time_bucket) = (settings.dedup.window.get(), settings.time_bucket.get());
    if window > time_bucket {
        // A window beyond the draw would hide a later draw behind an earlier one, and the estimate would be wrong.
        checks.error("dedup.window", "must not be longer than time_bucket");
    }
    let max_entries = settings.dedup.max_entries;
    if max_entries == 0 || max_entries > DEDUP_ENTRIES_MAX {
        let message = format!("must be from 1 to {DEDUP_ENTRIES_MAX}; window: 0 switches deduplication off");
        checks.error("dedup.max_entries", message);
    }
    let retention = time_bucket.saturating_mul(2);
    (!window.is_zero()).then_some(DedupConfig { window, retention, max_entries })
}

/// The rules in the order in which they are asked.
fn rules(settings: &AdaptiveSamplerSettings, checks: &mut Checks) -> Vec<Rule> {
    let written = settings.rules.clone().unwrap_or_else(template::default_rules);
    if written.len() > RULES_MAX {
        checks.error("rules", format!("there are {}, at most {RULES_MAX} can be", written.len()));
        return Vec::new();
    }
    let (mut names, mut patterns) = (HashSet::new(), 0);
    let mut rules: Vec<(i32, usize, Rule)> = Vec::new();
    for (index, settings) in written.iter().enumerate() {
        let mut fields = RuleFields { path: format!("rules.{index}"), checks, patterns: &mut patterns };
        fields.template(settings);
        let settings = settings.expanded();
        let rule = fields.rule(&settings);
        if !rule.name.is_empty() && !names.insert(rule.name.clone()) {
            fields.error("name", "another rule has this name");
        }
        rules.push((settings.priority.unwrap_or_default(), index, rule));
    }
    rules.sort_by_key(|(priority, index, rule)| (!rule.critical, Reverse(*priority), *index));
    let catch_all = rules.iter().position(|(_, _, rule)| rule.conditions.is_empty());
    for (_, index, _) in rules.iter().skip(catch_all.map_or(usize::MAX, |place| place.saturating_add(1))) {
        let message =
            "is never asked: a rule without conditions comes before it; lower the priority of that one";
        checks.notice(&format!("rules.{index}"), message);
    }
    rules.into_iter().map(|(_, _, rule)| rule).collect()
}

/// The checks of one rule.
struct RuleFields<'a> {
    path: String,
    checks: &'a mut Checks,
    patterns: &'a mut usize,
}

impl RuleFields<'_> {
    fn error(&mut self, field: &str, message: impl Into<String>) {
        self.checks.error(&format!("{}.{field}", self.path), message);
    }

    fn notice(&mut self, field: &str, message: &str) {
        self.checks.notice(&format!("{}.{field}", self.path), message);
    }

    fn template(&mut self, written: &RuleSettings) {
        if written.template.is_some() && written.conditions.is_some() {
            self.error("conditions", "the template has its own; leave out one of them");
        }
    }

    fn rule(&mut self, settings: &RuleSettings) -> Rule {
        let name = settings.name.clone().unwrap_or_default();
        self.name(&name, settings.name.is_some());
        let critical = settings.critical.unwrap_or_default();
        let rate = match (settings.sample_rate, critical) {
            (Some(rate), _) => Rate::Fixed(rate),
            (None, true) => Rate::Fixed(1.0),
            (None, false) => Rate::Adaptive,
        };
        if settings.sample_rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            self.error("sample_rate", "must be from 0 to 1");
        } else if critical && settings.sample_rate.is_some_and(|rate| rate < 1.0) {
            self.notice("sample_rate", "critical records will be missing: the rate is below 1");
        }
        if settings.max_per_minute.is_some_and(|max| max == 0 || max > PER_MINUTE_MAX) {
            let message = format!("must be from 1 to {PER_MINUTE_MAX}; sample_rate: 0 keeps nothing");
            self.error("max_per_minute", message);
        }
        let conditions = self.conditions(settings.conditions.as_deref());
        if critical && settings.conditions.as_ref().is_some_and(Vec::is_empty) {
            self.notice("critical", "every record is critical: the rule has no conditions");
        }
        Rule { name: name.into(), critical, rate, max_per_minute: settings.max_per_minute, conditions }
    }

    fn name(&mut self, name: &str, is_written: bool) {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if !is_written {
            self.error("name", "is missing: every rule without a template has one");
        } else if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_allowed) {
            self.error("name", format!("must be 1 to {NAME_BYTES_MAX} letters, digits and `_-./`"));
        } else if name == DEFAULT_RULE {
            self.error("name", "`default` counts the records that no rule matches; choose another name");
        }
    }

    fn conditions(&mut self, written: Option<&[ConditionSettings]>) -> Vec<Condition> {
        let Some(written) = written else {
            self.error("conditions", "are missing; to match every record, write conditions: []");
            return Vec::new();
        };
        if written.len() > CONDITIONS_MAX {
            let message = format!("there are {}, at most {CONDITIONS_MAX} can be", written.len());
            self.error("conditions", message);
            return Vec::new();
        }
        written
            .iter()
            .enumerate()
            .filter_map(|(index, condition)| self.condition(&format!("conditions.{index}"), condition))
            .collect()
    }

    fn condition(&mut self, path: &str, written: &ConditionSettings) -> Option<Condition> {
        let attribute = written.attribute.as_str();
        if attribute.is_empty() || attribute.len() > ATTRIBUTE_BYTES_MAX {
            self.error(
                &format!("{path}.attribute"),
                format!("must be 1 to {ATTRIBUTE_BYTES_MAX} bytes long"),
            );
        } else if !is_known(attribute) {
            let message =
                "no sampled session has this attribute; the rule can only match where the resource has it";
            self.notice(&format!("{path}.attribute"), message);
        }
        if written.operator == Operator::Regex {
            *self.patterns += 1;
            if *self.patterns > PATTERNS_MAX {
                self.error(
                    &format!("{path}.operator"),
                    format!("at most {PATTERNS_MAX} conditions can be regex"),
                );
                return None;
            }
        }
        if written.value.as_ref().is_some_and(|value| value.text().len() > VALUE_BYTES_MAX) {
            self.error(&format!("{path}.value"), format!("must be at most {VALUE_BYTES_MAX} bytes long"));
            return None;
        }
        match Test::try_new(written.operator, written.value.as_ref()) {
            Ok(test) => Some(Condition { attribute: attribute.to_owned().into(), test }),
            Err(error) => {
                self.error(&format!("{path}.value"), error.to_string());
                None
            }
        }
    }
}

/// Whether sampled sessions can have the attribute.
fn is_known(attribute: &str) -> bool {
    catalogue::QUERY_SAMPLE.attributes.iter().any(|(name, _)| *name == attribute)
        || attribute.starts_with("server.")
        || attribute.starts_with("service.")
}
