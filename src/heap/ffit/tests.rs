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
fn a_block_as_large_as_the_heap_is_found_at_either_width_of_sizes() {
    for granules in [65_535, 65_536] {
        let bytes = granules * 16 + Ffit::tables_bytes(granules);
        let mut memory = vec![0u128; bytes.div_ceil(16)];
        let mut heap = unsafe { Ffit::from_raw(memory.as_mut_ptr().cast(), bytes) }.unwrap();
        assert_eq!(heap.granules, granules);
        let block = heap.get(granules * 16).unwrap().as_ptr();
        unsafe { heap.free(block) }.unwrap();
        let (first, rest) = (heap.get(16).unwrap(), heap.get((granules - 1) * 16).unwrap());
        assert_eq!(rest.as_ptr().addr() - first.as_ptr().addr(), 16);
        unsafe { heap.free(rest.as_ptr()) }.unwrap();
        heap.check().unwrap();
    }
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

#[test]
fn a_get_that_the_tags_contradict_is_refused_and_changes_nothing() {
    let mut memory = [0u64; 512];
    let mut heap = unsafe { Ffit::from_raw(memory.as_mut_ptr().cast(), 4096) }.unwrap();
    let blocks: [_; 3] = core::array::from_fn(|_| heap.get(160).unwrap().as_ptr());
    unsafe { heap.free(blocks[1]) }.unwrap();
    let rest = heap.tree.get(0);
    heap.get(rest as usize * 16).unwrap();
    // Ten granules are free, and the tree says as many as before.
    heap.tree.raise(0, rest);
    let before = (heap.stats().used, heap.stats().blocks);
    assert_eq!(heap.get(rest as usize * 16), None);
    assert_eq!(unsafe { heap.extend(blocks[0], rest as usize * 16) }, Err(ExtendError::NoRoom));
    assert_eq!((heap.stats().used, heap.stats().blocks), before);
    assert_eq!(heap.check().unwrap_err().what, c"the tree contradicts the blocks");
}

#[test]
fn a_fence_that_is_gone_is_noticed() {
    let mut memory = [0u64; 512];
    let mut heap = unsafe { Ffit::from_raw(memory.as_mut_ptr().cast(), 4096) }.unwrap();
    assert!(heap.is_fenced());
    let fence = heap.granules;
    heap.tags_mut(fence / BUCKET).used &= !(1 << (fence % BUCKET));
    assert_eq!(heap.check().unwrap_err().what, c"the end of the heap is free");
}

#[test]
fn an_aligned_get_goes_on_behind_a_free_block_without_an_aligned_place() {
    #[repr(align(4096))]
    struct Memory([u8; 4096]);
    let mut memory = Memory([0; 4096]);
    let mut heap = unsafe { Ffit::from_raw(memory.0.as_mut_ptr(), 4096) }.unwrap();
    let blocks = [16, 256, 240, 256].map(|size| heap.get(size).unwrap().as_ptr());
    let rest = heap.stats().largest_free as usize;
    heap.get(rest).unwrap();
    for block in [blocks[1], blocks[3]] {
        unsafe { heap.free(block) }.unwrap();
    }
    // Both have 256 bytes; the second begins at 512.
    assert_eq!(heap.get_aligned(256, 256).unwrap().as_ptr(), blocks[3]);
    heap.check().unwrap();
}
