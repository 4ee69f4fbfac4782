use proptest::prelude::*;

use super::*;

fn sums(calls: f64) -> Sums {
    Sums::closed(calls, calls * 4.0, calls * 60.0, calls, Some(0.5))
}

fn history(places: impl IntoIterator<Item = i64>) -> History<Hour> {
    let mut history = History::default();
    for place in places {
        history.add(place, &sums(100.0), HOURS_MAX, HOURS_REACH);
    }
    history
}

fn places<P: Packed>(history: &History<P>) -> Vec<i64> {
    history.iter().map(|(place, _)| place).collect()
}

#[test]
fn blocks_have_the_size_that_is_promised() {
    assert_eq!((size_of::<Hour>(), size_of::<Short>()), (12, 11));
}

#[test]
fn the_oldest_go_and_empty_hours_cost_nothing() {
    let dense = history(1_000_000..1_000_400);
    assert_eq!((places(&dense).len(), dense.span()), (HOURS_MAX, Some((1_000_232, 1_000_399))));
    // One call a day: a week and a day are kept, in the room of nine blocks and what a history grows by.
    let sparse = history((0..400).step_by(24));
    assert_eq!(
        places(&sparse),
        (192..=384).step_by(24).filter(|place| *place > 384 - HOURS_REACH).collect::<Vec<_>>()
    );
    assert!(sparse.heap_bytes() <= GROWTH * size_of::<Hour>());
}

#[test]
fn what_comes_late_is_added_to_its_block() {
    let mut history = history(10..20);
    assert!(history.add(15, &sums(50.0), HOURS_MAX, HOURS_REACH));
    assert!(!history.add(3, &sums(50.0), HOURS_MAX, HOURS_REACH));
    let calls = history.iter().map(|(_, sums)| sums.calls).collect::<Vec<_>>();
    assert_eq!((calls[5], calls.len()), (150.0, 10));
}

#[test]
fn nothing_that_ran_in_no_hour_is_kept() {
    let mut history = History::<Hour>::default();
    history.add(7, &Sums::default(), HOURS_MAX, HOURS_REACH);
    assert_eq!(history.span(), None);
}

#[test]
fn a_part_and_a_merged_history_have_their_blocks() {
    let all = history(0..50);
    let mut part = all.part(|place| (10..20).contains(&place));
    assert_eq!((places(&part), part.heap_bytes()), ((10..20).collect(), 120));
    let mut other = all.part(|place| (15..30).contains(&place));
    other.add(16, &sums(20.0), HOURS_MAX, HOURS_REACH);
    part.merge(&other, HOURS_MAX, HOURS_REACH);
    let calls: Vec<_> = part.iter().map(|(_, sums)| sums.calls).collect();
    // What is in both and the same is one block, told twice.
    assert_eq!((places(&part), &calls[4..8]), ((10..30).collect(), &[100.0, 100.0, 220.0, 100.0][..]));
}

proptest! {
    #[test]
    fn what_is_written_is_read(chosen in prop::collection::btree_set(0..HOURS_REACH, 0..60), start in -100_000_i64..1_000_000) {
        let history = history(chosen.into_iter().map(|place| start + place));
        let mut out = Writer::default();
        history.write(&mut out);
        let read = History::<Hour>::read(&mut Reader(&out.0), HOURS_MAX).unwrap();
        let mut again = History::<Hour>::default();
        prop_assert_eq!(read.len(), places(&history).len());
        again.take_over(read, HOURS_MAX, HOURS_REACH);
        prop_assert_eq!((&again.blocks, again.last), (&history.blocks, history.last));
    }

    #[test]
    fn a_part_that_is_written_has_the_blocks_of_its_places(
        chosen in prop::collection::btree_set(0..HOURS_REACH, 0..60),
        start in -1_000_i64..1_000,
        from in -1_300_i64..1_300,
        length in 0_i64..250,
    ) {
        let all = history(chosen.iter().map(|place| start + place));
        let mut out = Writer::default();
        all.write_part(&mut out, from..from + length);
        let read = History::<Hour>::read(&mut Reader(&out.0), HOURS_MAX).unwrap();
        let wanted: Vec<(i64, Sums)> =
            all.iter().filter(|(place, _)| (from..from + length).contains(place)).collect();
        let read: Vec<(i64, Sums)> = read.into_iter().map(|(place, block)| (place, block.sums())).collect();
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = History::<Hour>::read(&mut Reader(&bytes), HOURS_MAX);
        let _ = History::<Short>::read(&mut Reader(&bytes), SHORTS_MAX);
    }

    #[test]
    fn bounds_hold_after_every_step(steps in prop::collection::vec((0..1_000_i64, 1..1_000_u32), 0..400)) {
        let mut shorts = History::<Short>::default();
        for (place, calls) in steps {
            shorts.add(place, &sums(f64::from(calls)), SHORTS_MAX, SHORTS_REACH);
            prop_assert!(places(&shorts).len() <= SHORTS_MAX && shorts.heap_bytes() <= SHORTS_MAX * 11);
            let (first, last) = shorts.span().unwrap();
            prop_assert!(last - first < SHORTS_REACH);
            prop_assert!(places(&shorts).is_sorted_by(|a, b| a < b));
        }
    }
}
