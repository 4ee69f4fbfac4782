use std::sync::Arc;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
struct Item {
    number: usize,
    weight: usize,
    precious: bool,
}

impl Weighed for Item {
    fn weight_bytes(&self) -> usize {
        self.weight
    }

    fn is_precious(&self) -> bool {
        self.precious
    }
}

fn item(number: usize, weight: usize, precious: bool) -> Item {
    Item { number, weight, precious }
}

const LIMITS: QueueLimits = QueueLimits { max_bytes: 100, max_items: 4 };

#[test]
fn refuses_when_full_and_gives_the_item_back() {
    let queue = WeightedQueue::new(LIMITS);
    queue.try_push(item(1, 60, false)).unwrap();
    assert_eq!(queue.try_push(item(2, 60, false)), Err((PushError::Full, item(2, 60, false))));
    assert_eq!(queue.try_push(item(3, 101, false)), Err((PushError::TooLarge, item(3, 101, false))));
    assert_eq!((queue.len(), queue.len_bytes()), (1, 60));
}

#[test]
fn evicts_the_oldest_ordinary_item_first_and_precious_ones_last() {
    let queue = WeightedQueue::new(LIMITS);
    for n in 0..4 {
        queue.try_push(item(n, 10, n == 0)).unwrap();
    }
    let evicted = queue.push_evicting(item(4, 10, false)).unwrap();
    assert_eq!(evicted, [item(1, 10, false)]);
    let evicted = queue.push_evicting(item(5, 90, true)).unwrap();
    assert_eq!(evicted.iter().map(|item| item.number).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(queue.push_evicting(item(6, 50, false)), Err((PushError::Full, item(6, 50, false))));
    assert_eq!((queue.try_pop().unwrap().number, queue.try_pop().unwrap().number), (0, 5));
}

#[tokio::test]
async fn a_queue_that_is_opened_again_takes_items_and_is_waited_for() {
    let queue = WeightedQueue::new(LIMITS);
    queue.close();
    assert_eq!(queue.pop().await, None);
    queue.reopen();
    let later = async {
        tokio::task::yield_now().await;
        queue.try_push(item(1, 1, false)).unwrap();
    };
    let (popped, ()) = tokio::join!(queue.pop(), later);
    assert_eq!(popped.map(|item| item.number), Some(1));
}

#[tokio::test]
async fn a_closed_queue_hands_out_what_it_holds_and_then_ends_for_every_consumer() {
    let queue = Arc::new(WeightedQueue::new(LIMITS));
    queue.try_push(item(1, 1, false)).unwrap();
    queue.close();
    assert_eq!(queue.try_push(item(2, 1, false)), Err((PushError::Closed, item(2, 1, false))));
    assert_eq!(queue.pop().await.map(|item| item.number), Some(1));
    let (one, two) = tokio::join!(queue.pop(), queue.pop());
    assert_eq!((one, two), (None, None));
}

#[tokio::test]
async fn every_item_reaches_one_of_several_consumers() {
    let queue = Arc::new(WeightedQueue::new(QueueLimits { max_bytes: 1 << 20, max_items: 1 << 10 }));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let queue = Arc::clone(&queue);
        consumers.spawn(async move {
            let mut seen = 0;
            while queue.pop().await.is_some() {
                seen += 1;
                tokio::task::yield_now().await;
            }
            seen
        });
    }
    for n in 0..500 {
        queue.try_push(item(n, 1, false)).unwrap();
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    queue.close();
    assert_eq!(consumers.join_all().await.into_iter().sum::<usize>(), 500);
}

proptest! {
    /// Whatever is pushed and popped, the bounds hold, nothing is lost without being handed back, and nothing appears twice.
    #[test]
    fn bounds_hold_and_items_are_conserved(
        steps in prop::collection::vec((0usize..60, any::<bool>(), 0u8..3), 0..200),
    ) {
        let queue = WeightedQueue::<Item>::new(LIMITS);
        let (mut pushed, mut out) = (0, Vec::new());
        for (number, (weight, precious, action)) in steps.into_iter().enumerate() {
            match action {
                0 => out.extend(queue.try_pop().map(|item| item.number)),
                1 => {
                    pushed += 1;
                    if let Err((_, item)) = queue.try_push(item(number, weight, precious)) {
                        out.push(item.number);
                    }
                }
                _ => {
                    pushed += 1;
                    match queue.push_evicting(item(number, weight, precious)) {
                        Ok(evicted) => out.extend(evicted.into_iter().map(|item| item.number)),
                        Err((_, item)) => out.push(item.number),
                    }
                }
            }
            prop_assert!(queue.len_bytes() <= LIMITS.max_bytes && queue.len() <= LIMITS.max_items);
        }
        while let Some(item) = queue.try_pop() {
            out.push(item.number);
        }
        prop_assert_eq!(queue.len_bytes(), 0);
        out.sort_unstable();
        out.dedup();
        prop_assert_eq!(out.len(), pushed);
    }
}
