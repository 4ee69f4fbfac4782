use super::*;

fn flips(tables: Tables) -> Vec<Flip> {
    (0..60).map(|number| tables.make(1, number)).collect()
}

/// Steps of a table of 1,000,000 rows, of which `changed` change in each, until it is analysed, and that.
fn analysed(changed: f64, server: &Server) -> Option<(usize, Analysis)> {
    let mut rng = Rng::new(1, 1, Stream::Tables);
    let mut table = Table::draw(&mut rng, (1e6, 1e6 + 1.0));
    (table.changed_per_step, table.growth_per_step, table.loads_per_step) = (changed, 0.0, 0.0);
    table.by_job = None;
    (0..STEPS).find_map(|step| Some((step, table.step(&mut rng, server, step)?)))
}

#[test]
fn autovacuum_analyses_after_a_tenth_and_when_it_comes_to_it() {
    let idle = Server { is_late: false, is_nightly: false };
    let (first, analysis) = analysed(1_000.0, &idle).unwrap();
    // Somewhat sooner or later than a hundred steps, by the hours of the day.
    assert!((30..300).contains(&first), "{first}");
    assert!((95_000.0..105_000.0).contains(&analysis.modified), "{analysis:?}");
    let busy = Server { is_late: true, ..idle };
    let (late, analysis) = analysed(1_000.0, &busy).unwrap();
    assert!(late > first && analysis.modified > 100_000.0, "{late} {analysis:?}");
}

#[test]
fn at_night_everything_is_analysed() {
    let (first, analysis) = analysed(10.0, &Server { is_late: false, is_nightly: true }).unwrap();
    assert_eq!(first, 3 * PER_HOUR);
    assert!(analysis.modified < 1_000.0, "{analysis:?}");
}

#[test]
fn analyses_are_those_between_the_plans() {
    for flip in flips(Tables::Usual) {
        assert!(flip.analyses.is_sorted_by(|a, b| a.at <= b.at));
        let span = flip.analyses.last().map_or(0, |last| last.at - flip.analyses[0].at);
        assert!(span <= PER_DAY, "{span}");
    }
    assert!(flips(Tables::Usual).iter().any(|flip| flip.analyses.is_empty()));
}

#[test]
fn small_tables_are_small_and_loaded_ones_are_analysed_last() {
    let rows =
        |tables| flips(tables).into_iter().flat_map(|flip| flip.analyses).map(|analysis| analysis.rows);
    // Growth and loads make some of them larger.
    assert!(rows(Tables::Small).filter(|rows| *rows < 2_000.0).count() * 2 > rows(Tables::Small).count());
    assert!(rows(Tables::Usual).all(|rows| rows >= 1_000.0));
    for flip in flips(Tables::Loaded) {
        let last = flip.analyses.last().unwrap();
        assert!(last.modified >= 0.66 * last.rows, "{last:?}");
    }
}

#[test]
fn what_was_read_as_changed_begins_anew_with_an_analysis() {
    let mut rng = Rng::new(1, 1, Stream::Tables);
    let mut table = Table::draw(&mut rng, (1e6, 1e6 + 1.0));
    (table.changed_per_step, table.growth_per_step, table.loads_per_step) = (1_000.0, 0.0, 0.0);
    table.by_job = None;
    let idle = Server { is_late: false, is_nightly: false };
    let mut most = 0.0_f64;
    for step in 0..STEPS {
        let is_analysed = table.step(&mut rng, &idle, step).is_some();
        assert!(table.modified >= table.read || is_analysed);
        most = most.max(table.modified);
    }
    assert!(most < 0.2 * table.known, "{most}");
}

#[test]
fn a_table_that_is_loaded_and_not_analysed_is_all_that_happens() {
    for flip in flips(Tables::LoadedAlone) {
        assert_eq!((flip.analyses.len(), flip.readings.len()), (0, 1));
        assert!(flip.readings[0].modified[1] >= 2.0 * flip.readings[0].known);
    }
}
