//! The checker and the refusals, against bookkeeping that was overwritten.

use super::super::testing::{every_flip_is_noticed, flips_do_no_harm};
use super::*;

#[test]
fn every_flipped_bit_of_the_tables_is_noticed() {
    every_flip_is_noticed(
        |area| Buddy::new(area).unwrap(),
        |heap| {
            let granules = heap.granules;
            // Bits of the tree for stretches that do not exist, as all bytes there
            // are fixed, count too; those of the last end word beyond the heap are
            // only read where a block ends there.
            (heap.buckets.cast(), Buddy::tables_bytes(granules))
        },
    );
}

#[test]
fn overwritten_tables_lead_nowhere_else() {
    flips_do_no_harm(
        |area| Buddy::new(area).unwrap(),
        |heap| (heap.buckets.cast(), Buddy::tables_bytes(heap.granules)),
    );
}

#[test]
fn a_free_of_a_block_without_a_valid_end_is_corruption() {
    let mut memory = [0u64; 512];
    let mut heap = unsafe { Buddy::from_raw(memory.as_mut_ptr().cast(), 4096) }.unwrap();
    let block = heap.get(64).unwrap().as_ptr();
    heap.bucket_mut(0).ends = 1 << 2;
    assert_eq!(unsafe { heap.free(block) }, Err(FreeError::Corrupted));
    assert_eq!(heap.check().unwrap_err().what, c"a block has no valid end");
}

#[test]
fn an_overwritten_top_of_the_tree_leads_to_no_node_that_does_not_exist() {
    // Five nodes below the top, each of 64 KiB. The top has a word for each of
    // thirteen orders, which says now that the other 59 are free.
    let mut memory = vec![0u64; 300_000 / 8];
    let mut heap = unsafe { Buddy::from_raw(memory.as_mut_ptr().cast(), 300_000) }.unwrap();
    let end = unsafe { heap.buckets.cast::<u8>().add(Buddy::tables_bytes(heap.granules)) };
    for word in 2..=14 {
        unsafe { *end.cast::<u64>().sub(word) &= 0x1F };
    }
    let blocks = (0..1000).take_while(|_| heap.get(1000).is_some()).count();
    assert!((280..300).contains(&blocks), "{blocks}");
}

#[test]
fn what_was_freed_is_part_of_the_free_window_that_free_names() {
    // Trees of one, two and three levels.
    for bytes in [20_000usize, 300_000, 6 << 20] {
        let mut memory = vec![0u64; bytes / 8];
        let mut heap = unsafe { Buddy::from_raw(memory.as_mut_ptr().cast(), bytes) }.unwrap();
        let (mut blocks, mut seed) = (Vec::new(), 1u64);
        for turn in 0..if cfg!(miri) { 40 } else { 1500 } {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let random = (seed >> 33) as usize;
            blocks.extend(heap.get(1 + random % (bytes / 10)).map(|block| block.as_ptr()));
            while turn % 3 == 2 && !blocks.is_empty() && heap.used() > bytes / 4
                || turn % 100 == 99 && !blocks.is_empty()
            {
                let block = blocks.swap_remove(random % blocks.len());
                let freed = heap.release(block).unwrap();
                let mut found = false;
                heap.walk(&mut |around| {
                    found |= !around.used && around.address == freed.hole && around.size == freed.hole_bytes;
                    ControlFlow::Continue(())
                });
                assert!(found && (freed.hole..freed.hole + freed.hole_bytes).contains(&block.addr()));
            }
        }
    }
}
