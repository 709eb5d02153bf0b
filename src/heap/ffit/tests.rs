//! The checker and the refusals, against bookkeeping that was overwritten.

use super::super::testing::{every_flip_is_noticed, flips_do_no_harm};
use super::*;

#[test]
fn every_flipped_bit_of_the_tables_is_noticed() {
    every_flip_is_noticed(
        |area| Ffit::new(area).unwrap(),
        |heap| (heap.tags.cast(), Ffit::tables_bytes(heap.granules)),
    );
}

#[test]
fn overwritten_tables_lead_nowhere_else() {
    flips_do_no_harm(|area| Ffit::new(area).unwrap(), |heap| (heap.tags.cast(), Ffit::tables_bytes(heap.granules)));
}

#[test]
fn a_free_beside_contradicting_tags_is_corruption_and_changes_nothing() {
    let mut memory = [0u64; 512];
    let mut heap = unsafe { Ffit::from_raw(memory.as_mut_ptr().cast(), 4096) }.unwrap();
    let blocks: [_; 3] = core::array::from_fn(|_| heap.get(1000).unwrap().as_ptr());
    heap.tags_mut(0).tail += 1;
    let before = heap.stats();
    assert_eq!(unsafe { heap.free(blocks[1]) }, Err(FreeError::Corrupted));
    assert_eq!(heap.stats(), before);
    assert_eq!(heap.check().unwrap_err().what, c"the tags of a block disagree");
}
