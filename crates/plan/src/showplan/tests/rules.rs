//! Which rules apply to which fixture, and that each can also not apply.

use super::{fixture, parse};
use crate::PlanRule;

fn rules(xml: &str) -> Vec<PlanRule> {
    parse(xml).plan.summary().findings.iter().map(|finding| finding.rule).collect()
}

/// The rule applies to the fixture, and no longer after the change.
fn check(rule: PlanRule, name: &str, from: &str, to: &str) {
    let xml = fixture(name);
    assert!(rules(&xml).contains(&rule), "{rule:?} in {name}: {:?}", rules(&xml));
    let changed = xml.replace(from, to);
    assert_ne!(changed, xml, "{from} is not in {name}");
    assert!(!rules(&changed).contains(&rule), "{rule:?} without its reason in {name}");
    let finding =
        parse(&xml).plan.summary().findings.iter().find(|finding| finding.rule == rule).cloned().unwrap();
    assert!(!finding.evidence.is_empty() && !rule.check_next().is_empty());
}

#[test]
fn each_rule() {
    check(PlanRule::KeyLookup, "2016_key_lookup", "EstimateRebinds=\"599\"", "EstimateRebinds=\"3\"");
    check(
        PlanRule::KeyLookup,
        "2019_parameter_sniffing",
        "ActualExecutions=\"48000\"",
        "ActualExecutions=\"9\"",
    );
    check(PlanRule::MissingIndex, "2016_key_lookup", "MissingIndexes", "Spatial");
    check(PlanRule::MissingStatistics, "2016_missing_statistics", "ColumnsWithNoStatistics", "Spatial");
    check(PlanRule::ParameterSniffing, "2019_parameter_sniffing", "\"(1)\"", "\"(7)\"");
    check(PlanRule::SpillsToTempdb, "2019_sort_spill", "SpillToTempDb", "Spatial");
    check(PlanRule::SpillsToTempdb, "2017_hash_spill", "SpillToTempDb", "Spatial");
    check(PlanRule::GrantTooSmall, "2019_sort_spill", "Used More Than Granted", "Some Other Kind");
    check(PlanRule::MemoryGrantWait, "2019_sort_spill", "GrantWaitTime=\"120\"", "GrantWaitTime=\"1\"");
    check(
        PlanRule::JoinWithoutCondition,
        "2016_no_join_predicate",
        "NoJoinPredicate=\"true\"",
        "NoJoinPredicate=\"false\"",
    );
    check(PlanRule::ForcedSerial, "2017_forced_serial", "NonParallelPlanReason", "StatementId");
    check(PlanRule::OptimizerGaveUp, "2017_forced_serial", "TimeOut", "GoodEnoughPlanFound");
    check(PlanRule::UnmatchedIndexes, "2016_unmatched_index", "UnmatchedIndexes", "Spatial");
}

#[test]
fn stale_statistics_are_not_missing_ones() {
    let missing = fixture("2016_missing_statistics");
    let stale = missing.replace("ColumnsWithNoStatistics", "ColumnsWithStaleStatistics");
    let found = |xml: &str| {
        [PlanRule::MissingStatistics, PlanRule::StaleStatistics].map(|rule| rules(xml).contains(&rule))
    };
    assert_eq!((found(&missing), found(&stale)), ([true, false], [false, true]));
}

#[test]
fn an_excessive_grant_by_the_numbers_and_by_the_warning() {
    let xml = fixture("2019_excessive_grant");
    let without_warning = xml.replace("Excessive Grant", "Some Other Kind");
    let used = without_warning.replace("MaxUsedMemory=\"1200\"", "MaxUsedMemory=\"800000\"");
    assert!(rules(&xml).contains(&PlanRule::ExcessiveGrant));
    assert!(rules(&without_warning).contains(&PlanRule::ExcessiveGrant));
    assert!(!rules(&used).contains(&PlanRule::ExcessiveGrant));
}

#[test]
fn conversions_count_where_they_convert_a_column() {
    let xml = fixture("2019_implicit_conversion");
    assert!(rules(&xml).contains(&PlanRule::ImplicitConversion));
    // The same conversion of a parameter costs nothing.
    let of_value = xml
        .replace(
            "CONVERT_IMPLICIT(nvarchar(20),[Shop].[dbo].[customers].[code] as [c].[code],0)=[@code]",
            "[Shop].[dbo].[customers].[code] as [c].[code]=CONVERT_IMPLICIT(varchar(20),[@code],0)",
        )
        .replace("PlanAffectingConvert", "Spatial");
    assert!(!rules(&of_value).contains(&PlanRule::ImplicitConversion));
    let warned = xml.replace("<Predicate>", "<Values>").replace("</Predicate>", "</Values>");
    assert!(rules(&warned).contains(&PlanRule::ImplicitConversion));
}

#[test]
fn counts_of_the_summary() {
    let xml = fixture("2019_parameter_sniffing");
    let summary = parse(&xml).plan.summary();
    assert_eq!((summary.sql_server.key_lookups, summary.sql_server.sniffed_parameters), (1, 1));
    let spilled = fixture("2019_sort_spill");
    let summary = parse(&spilled).plan.summary();
    assert_eq!((summary.sorts.spilled, summary.sorts.spilled_kib), (1, 24_800.0));
    assert_eq!(summary.scans[0].table_rows, Some(100_000.0));
}

#[test]
fn a_change_is_told_in_words() {
    let xml = fixture("2016_key_lookup");
    let other = xml.replace("IX_orders_customer", "IX_orders_payer");
    let lines = crate::diff(&parse(&xml).plan, &parse(&other).plan);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("IX_orders_customer") && lines[0].contains("IX_orders_payer"), "{lines:?}");
}
