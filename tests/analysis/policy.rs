use std::collections::BTreeMap;

use memman::analysis::policy::*;

use crate::Random;

/// Makes the same random requests on both; every answer is the same.
fn assert_same(seed: u64, model: &mut dyn Subject, real: &mut dyn Subject, requests: u32, largest: u64) {
    let mut random = Random(seed);
    let mut live: Vec<u64> = Vec::new();
    assert_eq!(model.capacity(), real.capacity());
    for request in 0..requests {
        // The load swings, so that the heap is full and nearly empty in turn.
        let load = 3 + request / 500 % 5;
        if live.is_empty() || random.below(8) < u64::from(load) {
            let bound = 1 + random.below(largest);
            let size = 1 + random.below(bound);
            let placed = model.get(size);
            assert_eq!(placed, real.get(size), "seed {seed}, request {request}, {size} granules");
            live.extend(placed);
        } else {
            let start = live.swap_remove(random.below(live.len() as u64) as usize);
            assert!(model.free(start) && real.free(start));
        }
        assert_eq!(model.reserved(), real.reserved());
    }
    assert_eq!(model.free_blocks() == 0, real.free_blocks() == 0);
}

#[test]
fn the_models_of_first_fit_and_leftmost_buddy_place_every_block_as_the_managers_do() {
    for (policy, kind) in [(Policy::FirstFit, Kind::Ffit), (Policy::LeftmostBuddy, Kind::Buddy)] {
        for seed in 1..200 {
            let mut random = Random(seed);
            let magnitude = 1 + random.below(13);
            let capacity = 1 + random.below(1 << magnitude);
            let mut model = Model::new(policy, capacity);
            let mut real = Owned::with_capacity(kind, capacity).unwrap();
            assert_same(seed, &mut model, &mut real, 3000, 1 + capacity / 4);
        }
    }
}

#[test]
fn a_model_never_gives_what_is_in_use_and_gets_everything_back() {
    for policy in Policy::ALL {
        for seed in 1..40 {
            let mut random = Random(seed);
            let capacity = 1 + random.below(300);
            let mut model = Model::new(policy, capacity);
            let mut live: BTreeMap<u64, u64> = BTreeMap::new();
            for _ in 0..600 {
                if random.below(5) < 3 {
                    let size = 1 + random.below(24);
                    let Some(start) = model.get(size) else { continue };
                    assert!(start + size <= capacity);
                    let before = live.range(..start + size).next_back();
                    assert!(before.is_none_or(|(&other, &len)| other + len <= start), "{policy:?}");
                    live.insert(start, size);
                } else if let Some((&start, _)) = live.range(random.below(capacity)..).next() {
                    live.remove(&start);
                    assert!(model.free(start));
                    assert!(!model.free(start));
                }
            }
            for (start, _) in live {
                assert!(model.free(start));
            }
            assert_eq!(model.reserved(), 0);
            let pieces =
                if matches!(policy, Policy::LeftmostBuddy | Policy::LifoBuddy) { capacity.count_ones() } else { 1 };
            assert_eq!(model.free_blocks(), u64::from(pieces), "{policy:?}");
        }
    }
}

#[test]
fn the_policies_differ_where_they_are_meant_to() {
    // Free after this: 4 granules at 0, 2 at 5, 3 at 8, and the rest from 12.
    let prepared = |policy| {
        let mut model = Model::new(policy, 64);
        let starts: Vec<u64> = [4, 1, 2, 1, 3, 1].into_iter().map(|size| model.get(size).unwrap()).collect();
        for at in [2, 0, 4] {
            assert!(model.free(starts[at]));
        }
        model
    };
    assert_eq!(prepared(Policy::FirstFit).get(2), Some(0));
    assert_eq!(prepared(Policy::BestFit).get(2), Some(5));
    assert_eq!(prepared(Policy::NextFit).get(2), Some(12));
    assert_eq!(prepared(Policy::GoodFit).get(2), Some(5));
    // 2 and 3 share a list; the one at 8 was freed last.
    assert_eq!(prepared(Policy::HalfFit).get(2), Some(8));
    // 3 is not sure to be found in the list of 2 and 3.
    assert_eq!(prepared(Policy::HalfFit).get(3), Some(0));

    for (policy, youngest) in [(Policy::LeftmostBuddy, 0), (Policy::LifoBuddy, 8)] {
        let mut model = Model::new(policy, 16);
        for expected in [0, 4, 8, 12] {
            assert_eq!(model.get(4), Some(expected));
        }
        assert!(model.free(0) && model.free(8));
        assert_eq!(model.get(3), Some(youngest));
    }
}
