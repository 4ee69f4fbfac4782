//! What holds for every case.

use proptest::prelude::*;

use super::*;

fn world() -> impl Strategy<Value = World> {
    let sizes = (1_i64..9, 1_i64..60, 1.0_f64..5_000.0, 0.1_f64..500.0);
    let noise = (0.01_f64..3.0, 0.0_f64..0.8, 0_u32..60);
    let ratios = (0.1_f64..12.0, 0.2_f64..12.0, 0.6_f64..1.5, -20_i64..10);
    let known = (any::<bool>(), any::<bool>(), 0_u32..5, 0_usize..3, 0_usize..4);
    (sizes, noise, ratios, known).prop_map(|(sizes, noise, ratios, known)| {
        let classes =
            [EvidenceClass::None, EvidenceClass::Generic, EvidenceClass::Actual, EvidenceClass::PerPlan];
        let waits = [Waits::Unclear, Waits::NoRise, Waits::Rose];
        World {
            days_before: sizes.0,
            blocks_after: sizes.1,
            calls: sizes.2,
            mean_ms: sizes.3,
            variation: noise.0,
            jitter: noise.1,
            control_statements: noise.2,
            time_ratio: ratios.0,
            work_ratio: ratios.1,
            rows_ratio: ratios.2,
            work_begins: ratios.3,
            minimum: known.0,
            unresolved: known.1,
            overlap: Overlap { interleaved_blocks: known.2, ..Overlap::default() },
            waits: waits[known.3],
            plan: PlanEvidence { class: classes[known.4], ..World::clear().plan },
            ..World::clear()
        }
    })
}

fn any_block() -> impl Strategy<Value = Block> {
    let place = prop_oneof![4 => FLIP - 200..FLIP + 100, 1 => any::<i64>()];
    let number = || prop_oneof![3 => 0.0_f64..1e6, 1 => any::<f64>(), 1 => Just(0.0), 1 => Just(f64::NAN), 1 => Just(1e300)];
    (place, number(), number(), prop::option::of(number()), number(), number(), prop::option::of(number()))
        .prop_map(|(start, calls, total_ms, squared_deviations, work, rows, min_ms)| Block {
            start,
            calls,
            total_ms,
            squared_deviations,
            work,
            rows,
            min_ms,
        })
}

fn no_floor() -> Thresholds {
    Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3),
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A category is the ceiling, lowered by the locks, and by nothing else.
    #[test]
    fn locks_only_lower(world in world()) {
        let verdict = world.judge();
        prop_assert!(verdict.category <= verdict.ceiling);
        let lowest = verdict.locks.iter().map(Lock::cap).min().unwrap();
        prop_assert_eq!(verdict.category, lowest);
        prop_assert_eq!(verdict.sentences().len(), verdict.locks.iter().filter(|lock| lock.failed()).count());
        prop_assert!(!verdict.headline().is_empty());
        let acted = matches!(
            verdict.conclusion,
            Conclusion::Regressed | Conclusion::CpuBound | Conclusion::Improved
                | Conclusion::RegressedWithoutPlanChange | Conclusion::ImprovedWithoutPlanChange
        );
        prop_assert_eq!(acted, verdict.category > Category::Insufficient);
    }

    /// Milliseconds or seconds: neither t nor a ratio knows.
    #[test]
    fn times_have_no_unit(world in world(), unit in 0.01_f64..1_000.0) {
        let thresholds = no_floor();
        let plain = world.judge_with(&thresholds);
        let scaled = World { mean_ms: world.mean_ms * unit, ..world }.judge_with(&thresholds);
        prop_assert_eq!(plain.category, scaled.category);
        prop_assert_eq!(plain.conclusion, scaled.conclusion);
        prop_assert!(close(plain.numbers.t, scaled.numbers.t));
        prop_assert!(close(plain.numbers.block_t, scaled.numbers.block_t));
        let low = |verdict: &Verdict| verdict.numbers.ratio.map(|ratio| ratio.low);
        prop_assert!(close(low(&plain), low(&scaled)));
    }

    /// The same blocks seen faster than life: the same numbers, and at most `careful`.
    #[test]
    fn acceleration_never_raises(world in world(), factor in 1.0_f64..500.0) {
        let thresholds = no_floor();
        let plain = world.judge_with(&thresholds);
        let acceleration = Acceleration::try_new(factor).unwrap();
        let scale = TimeScale::try_new(3_600.0 / factor, acceleration).unwrap();
        let fast = World { scale, ..world }.judge_with(&thresholds);
        let most = if acceleration.is_on() { Category::Careful } else { Category::Auto };
        prop_assert_eq!(fast.category, plain.category.min(most));
        prop_assert_eq!(fast.numbers.t, plain.numbers.t);
        prop_assert_eq!(fast.numbers.ratio, plain.numbers.ratio);
    }

    /// Stricter thresholds never give more.
    #[test]
    fn stricter_never_raises(world in world(), factor in 1.0_f64..3.0) {
        let measured = no_floor();
        let strict = Thresholds {
            t_careful: measured.t_careful * factor,
            block_t_min: measured.block_t_min * factor,
            effect_careful: measured.effect_careful * factor,
            work_ratio_min: measured.work_ratio_min * factor,
            excursions_min: measured.excursions_min * factor,
            ..measured
        };
        // Flat work is judged as processor time, which a higher demand on work may turn to.
        prop_assume!(world.waits != Waits::NoRise);
        prop_assert!(world.judge_with(&strict).category <= world.judge_with(&measured).category);
    }

    #[test]
    fn laxer_thresholds_change_nothing(world in world(), factor in 0.0_f64..1.0) {
        let measured = Thresholds::default();
        let lax = Thresholds { t_careful: measured.t_careful * factor, block_t_min: 0.0, work_ratio_min: factor, ..measured };
        prop_assert_eq!(world.judge_with(&lax), world.judge());
    }

    /// The order in which blocks come does not matter, and a judge does not remember the case before.
    #[test]
    fn neither_order_nor_memory_matters(world in world(), other in world()) {
        let (before, after, control) = (world.before(), world.after(), world.control());
        let case = Case { control: &control, plan: world.plan, ..Case::new(&before, &after, FLIP) };
        let first = judge(&case, &Thresholds::default());
        let reversed: Vec<Block> = before.iter().rev().copied().collect();
        let mut used = Judge::new(&Thresholds::default());
        let (other_before, other_after) = (other.before(), other.after());
        used.judge(&Case::new(&other_before, &other_after, FLIP));
        let second = used.judge(&Case { before: &reversed, ..case });
        prop_assert_eq!(first.category, second.category);
        prop_assert_eq!(first.numbers.ratio, second.numbers.ratio);
        prop_assert_eq!(first.numbers.blocks_before, second.numbers.blocks_before);
    }

    /// Any numbers at all are answered.
    #[test]
    fn no_case_panics(
        before in prop::collection::vec(any_block(), 0..220),
        after in prop::collection::vec(any_block(), 0..60),
        control in prop::collection::vec((any::<i64>(), any::<f64>(), any::<u32>()), 0..40),
        flip in prop_oneof![4 => Just(FLIP), 1 => any::<i64>()],
        short in any::<bool>(),
        seconds in 60.0_f64..86_400.0,
    ) {
        let mut control: Vec<ControlPoint> = control
            .into_iter()
            .map(|(block, log_ratio, statements)| ControlPoint { block, log_ratio, statements })
            .collect();
        control.sort_by_key(|point| point.block);
        let scale = TimeScale::try_new(seconds, Acceleration::NONE).unwrap();
        let trial = ShortBlocks { before: &before, after: &after, flip, control: &control, scale };
        let case = Case { control: &control, scale, trial: short.then_some(trial), ..Case::new(&before, &after, flip) };
        let verdict = judge(&case, &no_floor());
        prop_assert!(!verdict.headline().is_empty());
        prop_assert!(verdict.category <= Category::Careful, "no plan was known");
        prop_assert_eq!(crate::confirm(&crate::Repair {
            baseline: &before, regressed: &before, repaired: &after, repair_at: flip, control: &control, scale,
        }, &no_floor()).lacks_evidence() && verdict.category > Category::Careful, false);
        let _ = crate::gone(&case, &verdict, &no_floor());
    }
}
