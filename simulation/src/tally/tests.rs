use super::*;
use crate::history::{Block, Truth};

fn reached(said: &[(Level, usize)]) -> Reached {
    let mut reached = Reached::default();
    said.iter().for_each(|(level, hour)| reached.note(*level, *hour));
    reached
}

#[test]
fn a_level_includes_those_below_it_and_counts_from_its_first_hour() {
    let mut counts = Counts::default();
    counts.add(&reached(&[(Level::Insufficient, 1), (Level::Careful, 3), (Level::Auto, 4)]), "a");
    counts.add(&reached(&[(Level::Manual, 2), (Level::Insufficient, 3)]), "b");
    counts.add(&reached(&[(Level::Insufficient, 1)]), "c");
    assert_eq!((counts.histories, counts.soon, counts.ever), (3, [2, 1, 0], [2, 2, 1]));
    assert_eq!(counts.examples, ["a", "b"]);
}

#[test]
fn merged_tallies_are_one() {
    let row = |class: &str| Row::Neutral(class.to_owned());
    let (mut all, mut first, mut second) = (Tally::default(), Tally::default(), Tally::default());
    for number in 0..50_usize {
        let said = [reached(&[(if number % 2 == 0 { Level::Auto } else { Level::Insufficient }, 1)])];
        let part = if number % 3 == 0 { &mut first } else { &mut second };
        for tally in [part, &mut all] {
            tally.add(row(["a", "b"][number % 2]), &said, &format!("part:{number}"));
            tally.add_without_flip(&[Findings {
                days: 1.5,
                begun: BTreeMap::from([("kind", number as u64)]),
                ..Findings::default()
            }]);
            let said = [None, Some(Repaired::Confirmed), Some(Repaired::NoEffect)][number % 3];
            tally.add_repair(["a", "b"][number % 2], &[said], &format!("part:{number}"));
        }
    }
    first.merge(&second);
    assert_eq!(first.pooled(0).histories, 50);
    assert_eq!(first, all);
    let repairs = first.all_repairs(0);
    assert_eq!((repairs.histories, repairs.made(), repairs.wrong()), (50, 33, 17));
    assert_eq!(first.row(&row("a"), 0).ever, [25; 3]);
    assert_eq!(
        first.findings(0),
        Findings { days: 75.0, begun: BTreeMap::from([("kind", 1225)]), ..Findings::default() }
    );
}

#[test]
fn examples_are_the_first_ones_whatever_the_order() {
    let counts = |numbers: &mut dyn Iterator<Item = u32>| {
        let mut counts = Counts::default();
        for number in numbers {
            counts.add(&reached(&[(Level::Careful, 1)]), &format!("part:{number}"));
        }
        counts
    };
    let (mut one, mut other) = (counts(&mut (0..40).step_by(2)), counts(&mut (1..40).step_by(2)));
    let before = one.clone();
    one.merge(&other);
    other.merge(&before);
    assert_eq!(one.examples, other.examples);
    assert_eq!(one.examples, (0..20).map(|number| format!("part:{number}")).collect::<Vec<_>>());
}

fn sections(truth: Truth, calls: u64) -> Vec<Section> {
    let history = History {
        name: String::new(),
        start_s: 0,
        block_minutes: 60,
        flip: 1,
        flipped: true,
        blocks: vec![Some(Block { calls, ..Block::default() })],
        truth: Truth { ratio: 2.0, ..truth },
    };
    Section::of(&history).collect()
}

#[test]
fn a_regression_is_in_its_sections() {
    let truth = Truth { work_exponent: 0.5, ..Truth::neutral("test") };
    assert_eq!(sections(truth.clone(), 999), [Section::Outside, Section::Quiet, Section::All]);
    assert_eq!(
        sections(Truth { mixture: true, ..truth }, 1_000),
        [Section::Inside, Section::Busy, Section::All]
    );
    assert_eq!(sections(Truth::neutral("test"), 10), [Section::NoBlocks, Section::All]);
}
