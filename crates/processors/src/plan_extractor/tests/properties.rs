//! Any history of plans: what leaves is what a plain model says, whatever the cache, and whenever the chain is rebuilt.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// One plan: statement, rung, node, number of the plan, cost.
type Step = (i64, usize, u64, u32, u32);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..4_i64, 0..4_usize, 0..2_u64, 0..4_u32, 1..4_u32), 0..120)
}

fn run(fixture: &mut Fixture, (statement, rung, node, number, cost): Step) -> Vec<Record> {
    fixture.node.system_identifier = Some(node);
    let at = fixture.clock.now();
    let record = observation(statement, PlanRung::ALL[rung], &plan(number, cost), at);
    fixture.run(vec![record, query(statement)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn changes_are_exactly_those_of_fingerprints_by_statement_rung_and_node(steps in steps()) {
        let mut fixture = fixture("{}");
        let mut last: HashMap<(i64, usize, u64), u32> = HashMap::new();
        let mut had: HashMap<(i64, usize, u64), HashSet<u32>> = HashMap::new();
        for step @ (statement, rung, node, number, _) in steps {
            let before = last.insert((statement, rung, node), number);
            let is_new = had.entry((statement, rung, node)).or_default().insert(number);
            let is_news = is_new || !PlanRung::ALL[rung].depends_on_values();
            let records = run(&mut fixture, step);
            let plans: Vec<_> = records.iter().filter_map(|record| match record {
                Record::QueryPlan(plan) => Some(plan.news),
                _ => None,
            }).collect();
            let changes = records.iter().filter(|record| matches!(record, Record::PlanChange(_))).count();
            let is_other = is_news && before.is_some_and(|before| before != number);
            // Which values a sample has is chance.
            let of_sample = PlanRung::ALL[rung].is_of_sample();
            let changed = is_other && !of_sample;
            prop_assert_eq!(plans.first() == Some(&PlanNews::OtherValues), is_other && of_sample);
            prop_assert_eq!(changes, usize::from(changed));
            prop_assert_eq!(plans.len(), usize::from(is_news && before != Some(number)));
            prop_assert_eq!(plans.first() == Some(&PlanNews::Changed), changed);
        }
    }

    #[test]
    fn the_cache_changes_nothing_that_leaves(steps in steps()) {
        let (mut cached, mut uncached) = (fixture("{}"), fixture("{cache: {max_bytes: 0}}"));
        for step in steps {
            prop_assert_eq!(run(&mut cached, step), run(&mut uncached, step));
        }
        prop_assert_eq!(uncached.processor.cache.held().0, 0);
    }

    #[test]
    fn a_chain_that_is_rebuilt_tells_nothing_again(steps in steps(), rebuild_at in 0..120_usize) {
        let (mut kept, mut rebuilt) = (fixture("{}"), fixture("{}"));
        for (index, step) in steps.into_iter().enumerate() {
            if index == rebuild_at {
                let state = rebuilt.processor.snapshot().unwrap();
                rebuilt.processor = extractor(rebuilt.config, &rebuilt.registry, &rebuilt.clock);
                rebuilt.processor.restore(&state).unwrap();
                prop_assert_eq!(rebuilt.processor.snapshot().unwrap(), state);
            }
            prop_assert_eq!(run(&mut kept, step), run(&mut rebuilt, step));
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused_or_bounded(steps in steps(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut fixture = fixture("{}");
        for step in steps {
            run(&mut fixture, step);
        }
        let mut state = fixture.processor.snapshot().unwrap();
        let place = at.index(state.len());
        let _ = fixture.processor.restore(&state[..place]);
        state[place] = byte;
        let _ = fixture.processor.restore(&state);
        run(&mut fixture, (1, 1, 1, 1, 1));
    }
}

#[test]
fn a_snapshot_of_another_layout_is_refused_and_the_state_stays() {
    let mut fixture = fixture("{}");
    fixture.see(1, PlanRung::Generic, &plan(1, 1));
    for state in [&[][..], &[9], &[1, 1]] {
        assert!(fixture.processor.restore(state).is_err());
    }
    assert_eq!(fixture.see(1, PlanRung::Generic, &plan(1, 1)), (None, None));
}
