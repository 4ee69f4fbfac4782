//! Small runs: what nothing happened in is told seldom, and what happened is told.

use super::*;

/// The lines of a kind, by their population.
fn lines(kind: &str, days: u64, others: u64) -> Vec<Line> {
    let parts = (1_u64..).zip(PARTS).filter(|(_, part)| part.population.kind() == kind);
    parts.map(|(id, part)| part.judge(3, id << INDEX_BITS, Many { days, others })).collect()
}

fn line<'a>(lines: &'a [Line], what: &str) -> &'a Line {
    lines.iter().find(|line| line.what == what).unwrap()
}

fn share(line: &Line) -> f64 {
    line.found as f64 / line.of as f64
}

#[test]
fn plans_that_flap_are_told_and_plans_by_values_are_not() {
    let lines = lines(FLAPPING, 2_100, 700);
    assert_eq!(line(&lines, "one plan").found, 0);
    assert_eq!(line(&lines, "several plans by values").found, 0);
    assert_eq!(share(line(&lines, "to and fro for 1 to 3 days")), 1.0);
    // Three wrong reports within two days are what it takes.
    assert!(share(line(&lines, "a wrong report in 30 days")) < 0.005);
    assert!(share(line(&lines, "a wrong report in 2 days")) > 0.02);
}

#[test]
fn stale_statistics_are_told_where_they_were_and_seldom_beside_another_cause() {
    let lines = lines(STALE, 0, 140);
    let told: Vec<f64> = lines.iter().map(share).collect();
    assert!(told[0] < 0.06 && told[1] < 0.06, "{lines:?}");
    assert_eq!((lines[2].meaning, told[2]), (Meaning::True, 1.0));
}

#[test]
fn statements_that_hang_are_told_and_those_that_are_asked_less_are_not() {
    let lines = lines(VANISHED, 2_100, 1_050);
    for line in lines.iter().filter(|line| line.meaning == Meaning::False) {
        assert!(share(line) < 0.015, "{line:?}");
    }
    let hangs = line(&lines, "timed out for 8 to 48 hours");
    assert!(share(hangs) > 0.7, "{hangs:?}");
}

#[test]
fn a_population_is_judged_the_same_again_and_is_another_with_another_seed() {
    let of = |seed| {
        let part = PARTS.iter().find(|part| part.what == "a wrong report in 2 days").unwrap();
        part.judge(seed, 1 << INDEX_BITS, Many { days: 0, others: 700 })
    };
    assert_eq!(of(5), of(5));
    assert_ne!(of(5).found, of(6).found);
}

#[test]
fn every_line_can_be_told_apart() {
    let mut all: Vec<_> = PARTS.iter().map(|part| (part.population.kind(), part.what)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), PARTS.len());
}
