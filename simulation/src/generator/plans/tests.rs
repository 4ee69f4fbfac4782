use super::*;

fn plans(reports: &Reports) -> Vec<u128> {
    reports.reports.iter().map(|report| report.plan).collect()
}

fn changes(reports: &Reports) -> usize {
    plans(reports).windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn all(kind: Plans) -> Vec<Reports> {
    (0..300).map(|number| kind.make(1, number)).collect()
}

#[test]
fn a_wrong_report_is_followed_by_a_right_one() {
    let all = all(Plans::Wrong(2.0));
    let wrong: usize =
        all.iter().map(|reports| plans(reports).iter().filter(|plan| **plan != 1).count()).sum();
    // Nine days of each, one in two days.
    assert!((1_150..1_550).contains(&wrong), "{wrong}");
    assert!(
        all.iter()
            .all(|reports| changes(reports) <= 2 * plans(reports).iter().filter(|plan| **plan != 1).count())
    );
}

#[test]
fn a_flip_is_for_good_and_a_late_report_is_out_of_its_order() {
    let flips = all(Plans::Flips(2.0));
    assert!(flips.iter().all(|reports| plans(reports).is_sorted()));
    let count: usize = flips.iter().map(changes).sum();
    assert!((1_150..1_550).contains(&count), "{count}");
    let late = all(Plans::Late(6.0));
    assert!(late.iter().all(|reports| reports.reports.is_sorted_by(|a, b| a.at <= b.at)));
    assert!(late.iter().any(|reports| !plans(reports).is_sorted()));
}

#[test]
fn plans_by_values_come_and_go() {
    let all = all(Plans::ByValues);
    assert!(all.iter().flat_map(|reports| &reports.reports).all(|report| report.by_values));
    let several = |most: u128| all.iter().filter(|reports| plans(reports).iter().max() > Some(&most)).count();
    // A tenth of them has more than five.
    assert!((10..60).contains(&several(5)), "{}", several(5));
    let busiest = all.iter().map(|reports| reports.reports.len()).max();
    assert!(busiest > Some(2_000), "{busiest:?}");
}

#[test]
fn to_and_fro_begins_when_it_says() {
    for reports in all(Plans::ToAndFro) {
        let from = reports.to_and_fro.unwrap();
        let first = reports.reports.iter().find(|report| report.plan == 2).unwrap();
        assert!(first.at >= from && first.at < from + 6.0, "{} {from}", first.at);
        assert!(changes(&reports) >= 6);
    }
}
