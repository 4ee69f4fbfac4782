//! The generator makes what it says it makes.

use super::noise::Noise;
use super::statement::{Mixture, Population};
use super::walk::Wander;
use super::*;
use crate::rule::{Level, Rule as _};
use crate::rules::naive::RawT;

fn generator(class: Class, ratio: f64) -> Generator {
    Generator { seed: 11, class, shape: Shape::WEEK_AND_DAY, ratio, label: "test".into() }
}

fn rngs(number: u64) -> series::Rngs {
    series::Rngs {
        series: Rng::new(1, number, Stream::Series),
        executions: Rng::new(1, number, Stream::Executions),
        surroundings: Rng::new(1, number, Stream::Surroundings),
    }
}

/// A statement to which nothing happens: no load, no rhythm, no growth.
fn quiet() -> Statement {
    let still = Wander { sd: 0.0, hourly_correlation: 0.5 };
    let mut statement = Statement::draw(&mut Rng::new(1, 1, Stream::Statement), &Population::MODEL);
    statement.calls_per_hour = 1_200.0;
    statement.calls_noise = 0.0;
    (statement.mean_ms, statement.blocks_per_call) = (5.0, 40.0);
    (statement.server, statement.own, statement.work) = (still, still, still);
    let rhythm = &mut statement.rhythm;
    (rhythm.calls, rhythm.server, rhythm.own, rhythm.weekend_calls, rhythm.weekend_server) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    (statement.growth, statement.mixture) = (0.0, None);
    statement.noise = Noise::Lognormal { sigma: 0.8 };
    statement
}

/// Sums over the blocks of a quiet week and day: calls, mean, coefficient of variation, blocks per call.
fn sums(statement: &Statement) -> (f64, f64, f64, f64) {
    let events = Events::new(Shape::WEEK_AND_DAY, MONDAY_S);
    let blocks = series::blocks(statement, &events, &mut rngs(1));
    let (mut calls, mut total, mut square, mut touched) = (0.0, 0.0, 0.0, 0.0);
    for block in blocks.iter().flatten() {
        calls += block.calls as f64;
        total += block.total_ms;
        square += block.sum_sq.unwrap();
        touched += block.touched.unwrap();
    }
    let mean = total / calls;
    (calls, mean, (square / calls - mean * mean).sqrt() / mean, touched / calls)
}

fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value / expected - 1.0).abs() < tolerance, "{value}, not {expected}");
}

#[test]
fn a_history_is_made_again_from_its_numbers() {
    for class in Class::GATED {
        let first = generator(class, 1.0).make(5);
        assert_eq!(first, generator(class, 1.0).make(5), "{class:?}");
        assert_ne!(first.blocks, generator(class, 1.0).make(6).blocks, "{class:?}");
        let other_seed = Generator { seed: 12, ..generator(class, 1.0) };
        assert_ne!(first.blocks, other_seed.make(5).blocks, "{class:?}");
    }
}

#[test]
fn blocks_have_the_moments_of_their_statement() {
    let statement = quiet();
    let (calls, mean, variation, touched) = sums(&statement);
    near(calls, 8.0 * 24.0 * 1_200.0, 0.01);
    near(mean, 5.0, 0.02);
    near(variation, statement.noise.variation().unwrap(), 0.1);
    near(touched, 40.0, 0.02);
}

#[test]
fn a_mixture_has_the_mean_it_is_given() {
    let mut statement = quiet();
    statement.noise = Noise::Lognormal { sigma: 0.3 };
    statement.mixture = Some(Mixture {
        share: 0.1,
        slow: 20.0,
        work_exponent: 0.8,
        rows_exponent: 0.0,
        wander: Wander { sd: 0.0, hourly_correlation: 0.5 },
        daily: 0.0,
    });
    let (_, mean, variation, touched) = sums(&statement);
    near(mean, 5.0, 0.02);
    near(touched, 40.0, 0.02);
    // Two points at 1 and 20 with shares 0.9 and 0.1, each with the spread of the noise.
    let (first, second) = (0.9 + 0.1 * 20.0, (0.9 + 0.1 * 400.0) * 0.09_f64.exp());
    near(variation, (second / (first * first) - 1.0_f64).sqrt(), 0.03);
}

#[test]
fn a_load_wanders_as_far_and_as_slowly_as_it_should() {
    let wander = Wander { sd: 0.2, hourly_correlation: 0.8 };
    let mut rng = Rng::new(2, 1, Stream::Series);
    let mut walk = wander.begin(&mut rng, PER_HOUR);
    let values: Vec<f64> = (0..200_000).map(|_| walk.next(&mut rng)).collect();
    let square = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
    near(square.sqrt(), 0.2, 0.05);
    let pairs = values.iter().zip(values.iter().skip(PER_HOUR));
    let product = pairs.map(|(a, b)| a * b).sum::<f64>() / values.len() as f64;
    near(product / square, 0.8, 0.03);
}

#[test]
fn the_control_has_the_load_of_the_server_and_no_other() {
    let mut statement = quiet();
    (statement.others, statement.sensitivity) = (2_000, 1.0);
    statement.noise = Noise::Lognormal { sigma: 0.1 };
    let mut events = Events::new(Shape::WEEK_AND_DAY, MONDAY_S);
    events.add(100, 200, &Change::server_waits(3.0));
    events.add(300, 400, &Change::waits(3.0));
    let blocks = series::blocks(&statement, &events, &mut rngs(2));
    let divided = |block: usize| {
        let block = blocks[block].as_ref().unwrap();
        block.mean_ms().unwrap() / 5.0 / block.control.unwrap().log_ratio.exp()
    };
    near(divided(150), 1.0, 0.1);
    near(divided(350), 3.0, 0.1);
}

#[test]
fn waiting_shows_in_the_samples() {
    let mut statement = quiet();
    (statement.waiting, statement.mean_ms) = (0.1, 500.0);
    let mut events = Events::new(Shape::WEEK_AND_DAY, MONDAY_S);
    events.add(0, 100, &Change::waits(10.0));
    events.add(100, 200, &Change { busy: 10.0_f64.ln(), ..Change::waits(10.0) });
    let blocks = series::blocks(&statement, &events, &mut rngs(3));
    let share = |from: usize| {
        let waits = blocks[from..from + 100].iter().flatten().filter_map(|block| block.waits);
        let (sampled, waiting) =
            waits.fold((0, 0), |sum, waits| (sum.0 + waits.sampled, sum.1 + waits.waiting));
        f64::from(waiting) / f64::from(sampled)
    };
    // Ten times the time: waiting is all of it but a tenth of what it was busy, or it waits as before.
    near(share(0), 0.91, 0.03);
    near(share(100), 0.1, 0.1);
    near(share(200), 0.1, 0.2);
}

#[test]
fn a_regression_is_the_neutral_history_slowed_from_the_flip_on() {
    for number in 0..20 {
        let (neutral, slow) =
            (generator(Class::Model, 1.0).make(number), generator(Class::Model, 4.0).make(number));
        assert!(slow.truth.is_regression() && !neutral.truth.is_regression());
        let flip = slow.flip;
        assert_eq!(neutral.blocks[..flip - 1], slow.blocks[..flip - 1]);
        let ratio = |block: usize, of: fn(&crate::history::Block) -> f64| {
            of(slow.blocks[block].as_ref().unwrap()) / of(neutral.blocks[block].as_ref().unwrap())
        };
        let busy =
            (flip..flip + 50).find(|block| neutral.blocks[*block].as_ref().unwrap().calls > 0).unwrap();
        near(ratio(busy, |block| block.total_ms), 4.0, 1e-9);
        // Blocks are whole numbers.
        near(ratio(busy, |block| block.touched.unwrap()), 4.0_f64.powf(slow.truth.work_exponent), 0.1);
        let early = ratio(flip - 1, |block| block.total_ms.max(1e-300));
        assert!((1.0..=4.0).contains(&early), "{early}");
    }
}

#[test]
fn a_quarter_of_the_regressions_add_no_blocks() {
    let none = (0..2_000)
        .filter(|number| {
            let mut events = Events::new(Shape { days_before: 1, hours_after: 1, flip: true }, 0);
            regress(&mut Rng::new(1, *number, Stream::Regression), 3.0, &mut events) == 0.0
        })
        .count();
    near(none as f64, 500.0, 0.15);
}

#[test]
fn a_true_regression_of_ten_is_seen_by_raw_t() {
    let mut rule = RawT::default();
    let mut level = |ratio: f64, number: u64| {
        let history = generator(Class::Model, ratio).make(number);
        rule.start(&history);
        rule.judge(&history, 24)
    };
    let found = (0..40).filter(|number| level(10.0, *number) >= Level::Careful).count();
    assert!(found >= 38, "{found} of 40");
}

#[test]
fn kinds_of_statements_have_the_shares_of_the_model() {
    let draw = |number| Statement::draw(&mut Rng::new(1, number, Stream::Statement), &Population::MODEL);
    let statements: Vec<Statement> = (0..4_000).map(draw).collect();
    let share = |is: fn(&&Statement) -> bool| statements.iter().filter(is).count() as f64 / 4_000.0;
    near(share(|statement| statement.mixture.is_some()), 0.3, 0.1);
    near(share(|statement| matches!(statement.noise, Noise::Pareto { .. })), 0.2, 0.1);
    assert!(statements.iter().all(|statement| (100.0..=3_600_000.0).contains(&statement.calls_per_hour)));
    // Half of them are below the geometric middle.
    near(share(|statement| statement.calls_per_hour < 18_974.0), 0.5, 0.1);
}

/// Each class does what it is there for, in some history at least.
#[test]
fn classes_leave_their_marks() {
    let histories = |class| {
        (0..30).map(move |number| {
            (generator(class, 1.0).make(number), generator(Class::Model, 1.0).make(number))
        })
    };
    let differs = |class, of: fn(&crate::history::Block) -> f64, by: f64| {
        histories(class).any(|(mine, model)| {
            mine.blocks.iter().zip(&model.blocks).any(|(mine, model)| match (mine, model) {
                (Some(mine), Some(model)) if model.calls > 0 => of(mine) > by * of(model),
                _ => false,
            })
        })
    };
    assert!(differs(Class::LockStorm, |block| block.total_ms / block.calls as f64, 5.0));
    assert!(!differs(Class::LockStorm, |block| block.touched.unwrap() / block.calls.max(1) as f64, 1e3));
    assert!(differs(Class::ColdCache, |block| block.control.unwrap().log_ratio.exp(), 1.5));
    assert!(differs(Class::BatchJob, |block| block.touched.unwrap() / block.calls as f64, 1.5));
    assert!(differs(Class::Deploy, |block| block.rows.unwrap() / block.calls as f64, 1.4));
    assert!(differs(Class::Weekly, |block| block.touched.unwrap() / block.calls as f64, 1.2));
    assert!(
        histories(Class::Resets)
            .any(|(mine, _)| mine.blocks.iter().filter(|block| block.is_none()).count() > 20)
    );
    assert!(histories(Class::ColdCache).all(|(mine, _)| mine.blocks.iter().any(Option::is_none)));
    assert!(
        histories(Class::MixtureShift).all(|(mine, _)| mine.truth.shifts_at_flip() && mine.truth.mixture)
    );
    let pareto = Class::Pareto.population();
    assert_eq!((pareto.pareto, pareto.pareto_index), (1.0, (1.5, 3.0)));
}

#[test]
fn a_mixture_that_shifts_says_when() {
    let shifted: Vec<f64> = (0..400)
        .filter_map(|number| generator(Class::Model, 1.0).make(number).truth.mixture_shift_hours)
        .collect();
    // 3 % of them.
    assert!((3..=30).contains(&shifted.len()), "{}", shifted.len());
    assert!(shifted.iter().all(|hours| hours.abs() <= 72.1), "{shifted:?}");
}

#[test]
fn time_that_shifts_for_good_says_when_and_shifts_there() {
    let mut statement = quiet();
    statement.mixture = None;
    let population = Population { time_shifts: 1.0, incidents: 0.0, ..Population::MODEL };
    let mut events = Events::new(Shape::WEEK_AND_DAY, MONDAY_S);
    let shifts = events::model(&mut Rng::new(1, 1, Stream::Events), &population, &statement, &mut events);
    assert_eq!(shifts.mixture, None);
    let hours = shifts.time.unwrap();
    let levels: Vec<f64> = events.blocks().map(|(_, change, _)| change.time).collect();
    let first = levels.iter().position(|time| *time > 0.0).unwrap();
    assert!(
        (events.hours_from_flip(first) - hours).abs() < 0.01
            && levels[first..].iter().all(|time| *time > 0.0)
    );
}
