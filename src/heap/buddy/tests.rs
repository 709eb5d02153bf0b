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
