//! The managers against the shadow model: every promise of `heap::Manager`.

mod support;

use memman::heap::{Buddy, Ebuddy, Ffit, FreeError, Manager};
use proptest::prelude::*;
use support::{Guarded, Kind, Op, Rng, Shadow};

/// Runs `test` for each of the three managers.
macro_rules! for_each_manager {
    ($($(#[$attribute:meta])* fn $name:ident() = $test:ident;)*) => {
        mod ffit { use super::*; $($(#[$attribute])* #[test] fn $name() { $test::<Ffit>() })* }
        mod buddy { use super::*; $($(#[$attribute])* #[test] fn $name() { $test::<Buddy>() })* }
        mod ebuddy { use super::*; $($(#[$attribute])* #[test] fn $name() { $test::<Ebuddy>() })* }
    };
}

for_each_manager! {
    fn small_heaps_keep_every_promise_after_every_operation() = small_heaps;
    fn a_middling_heap_keeps_its_promises_over_millions_of_operations() = long_run;
    fn any_area_is_a_sound_heap_or_refused() = odd_areas;
    fn what_was_freed_joins_again() = rejoins;
    fn absurd_sizes_are_refused() = absurd_sizes;
    fn a_heap_that_was_shrunk_into_pieces_joins_again() = shrinks;
    fn property_sequences_match_the_model() = properties;
}

fn small_heaps<K: Kind>() {
    for seed in 0..120 {
        let mut rng = Rng(seed);
        let bytes = 512 + rng.below(20_000);
        let mut shadow = Shadow::<K>::new(bytes, rng.below(16)).expect("large enough");
        for _ in 0..400 {
            let op = rng.op(bytes / 3);
            shadow.apply(&op, true);
            shadow.assert_sound();
        }
        shadow.assert_guards();
        shadow.drain();
    }
}

fn long_run<K: Kind>() {
    let mut rng = Rng(7);
    let mut shadow = Shadow::<K>::new(6 << 20, 8).unwrap();
    for turn in 0..1_000_000 {
        let op = rng.op(if turn % 64 == 0 { 200_000 } else { 3_000 });
        // Bounded live set, so that the model's own cost stays small.
        let op = if shadow.heap.stats().blocks > 700 { Op::Free { block: rng.below(700) } } else { op };
        // So large a heap has trees of three levels and more: the exact place, too.
        shadow.apply(&op, turn % 64 == 1);
        if turn % 20_000 == 0 {
            shadow.assert_sound();
        }
    }
    shadow.drain();
}

fn odd_areas<K: Kind>() {
    for bytes in 0..700 {
        for skew in 0..16 {
            let Some(mut shadow) = Shadow::<K>::new(bytes, skew) else {
                assert!(bytes < K::minimum(), "{bytes} bytes at {skew} refused");
                continue;
            };
            shadow.assert_sound();
            let mut rng = Rng((bytes * 16 + skew) as u64);
            for _ in 0..20 {
                shadow.apply(&rng.op(bytes), true);
                shadow.assert_sound();
            }
            shadow.drain();
        }
    }
}

fn rejoins<K: Kind>() {
    let mut shadow = Shadow::<K>::new(750_000, 3).unwrap();
    let fresh = shadow.heap.stats();
    let mut rng = Rng(11);
    for round in 0..20 {
        while shadow.heap.stats().failed == round {
            shadow.apply(&Op::Get { size: rng.size(5_000) }, false);
        }
        shadow.drain();
        assert_eq!(shadow.heap.stats().largest_free, fresh.largest_free);
    }
}

fn absurd_sizes<K: Kind>() {
    let mut area = Guarded::new(100_000, 0);
    let mut heap = unsafe { K::make(area.base(), 100_000) }.unwrap();
    let block = heap.get(100).unwrap().as_ptr();
    let before = heap.stats();
    let absurd =
        [usize::MAX, usize::MAX - 15, usize::MAX / 2, isize::MAX as usize + 1, (4 << 30) + 8, 1 << 32, 100_001];
    for size in absurd {
        assert!(heap.get(size).is_none());
        assert!(heap.get_aligned(size, 64).is_none());
        assert!(unsafe { heap.extend(block, size) }.is_err());
        assert_eq!(heap.stats().largest_request, usize::MAX as u64);
    }
    for align in [0, 3, 24, usize::MAX, 1 << 63] {
        assert!(heap.get_aligned(32, align).is_none());
    }
    assert!(heap.get(0).is_none());
    assert_eq!((heap.stats().used, heap.stats().blocks), (before.used, before.blocks));
    for bad in [0usize, 1, 16, usize::MAX, usize::MAX - 15] {
        assert_eq!(unsafe { heap.free(bad as *mut u8) }, Err(FreeError::NotFound));
    }
    heap.check().unwrap();
}

fn shrinks<K: Kind>() {
    let mut shadow = Shadow::<K>::new(200_000, 0).unwrap();
    let fresh = shadow.heap.stats().largest_free;
    for round in 0..50 {
        while shadow.heap.stats().failed == round * 2 {
            shadow.apply(&Op::Get { size: 4_000 }, false);
        }
        let blocks = shadow.heap.stats().blocks as usize;
        for block in 0..blocks {
            shadow.apply(&Op::Extend { block, size: 1 + (block * 977) % 4_000 }, false);
        }
        shadow.assert_sound();
        while shadow.heap.stats().failed == round * 2 + 1 {
            shadow.apply(&Op::Get { size: 500 }, false);
        }
        shadow.drain();
        assert_eq!(shadow.heap.stats().largest_free, fresh);
    }
}

fn operations() -> impl Strategy<Value = Vec<Op>> {
    let size = prop_oneof![1usize..64, 1usize..2_000, 1_000usize..20_000];
    let op = prop_oneof![
        4 => size.clone().prop_map(|size| Op::Get { size }),
        1 => (size.clone(), 0u32..13).prop_map(|(size, log)| Op::GetAligned { size, log }),
        3 => any::<usize>().prop_map(|block| Op::Free { block }),
        2 => (any::<usize>(), size).prop_map(|(block, size)| Op::Extend { block, size }),
        1 => any::<usize>().prop_map(|offset| Op::BadFree { offset }),
        1 => any::<usize>().prop_map(|block| Op::FreeTwice { block }),
    ];
    prop::collection::vec(op, 1..80)
}

fn properties<K: Kind>() {
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(operations in operations(), bytes in 600usize..40_000, skew in 0usize..16)| {
        if let Some(mut shadow) = Shadow::<K>::new(bytes, skew) {
            for operation in &operations {
                shadow.apply(operation, true);
                shadow.assert_sound();
            }
            shadow.drain();
        }
    });
}

#[test]
fn a_buddy_heap_of_750_000_bytes_gives_85_percent_as_64_byte_blocks() {
    let mut shadow = Shadow::<Buddy>::new(750_000, 1).unwrap();
    while shadow.heap.stats().failed == 0 {
        shadow.apply(&Op::Get { size: 64 }, false);
    }
    assert!(shadow.heap.stats().used as usize >= 750_000 * 85 / 100);
    assert!(shadow.heap.stats().used as usize >= 750_000 * 98 / 100);
}

#[test]
fn a_buddy_heap_of_64_mib_gives_95_percent_as_4_kib_blocks() {
    let mut area = Guarded::new(64 << 20, 0);
    let mut heap = unsafe { Buddy::from_raw(area.base(), 64 << 20) }.unwrap();
    while heap.get(4096).is_some() {}
    assert!(heap.stats().used as usize >= (64 << 20) * 95 / 100);
    heap.check().unwrap();
}
