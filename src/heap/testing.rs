//! What the tests of the managers' bookkeeping share: heaps whose tables are
//! damaged bit by bit.

use core::ops::ControlFlow;

use super::{Area, Manager};

const BYTES: usize = if cfg!(miri) { 4_000 } else { 40_000 };
const GUARD: usize = 4096;

/// A heap with used and free blocks of every size, and the address of them.
fn worn<M: Manager>(memory: &mut [u64], make: fn(Area) -> M) -> (M, Vec<*mut u8>) {
    memory.fill(u64::MAX);
    let base = unsafe { memory.as_mut_ptr().cast::<u8>().add(GUARD) };
    let mut heap = make(unsafe { Area::from_raw(base, BYTES) }.unwrap());
    let mut blocks: Vec<*mut u8> = Vec::new();
    for turn in 0..160usize {
        let size = 1 + turn * turn * 7 % [90, 400, 3000][turn % 3];
        blocks.extend(heap.get(size).map(|block| block.as_ptr()));
        if turn % 3 == 2 {
            let block = blocks.swap_remove(turn * 31 % blocks.len());
            unsafe { heap.free(block) }.unwrap();
        }
    }
    heap.check().unwrap();
    (heap, blocks)
}

fn memory() -> Vec<u64> {
    vec![0; (BYTES + 2 * GUARD) / 8]
}

/// Flips each bit of the tables that `tables` names in turn: the check says
/// so, or else no answer of the heap depends on the bit.
pub(super) fn every_flip_is_noticed<M: Manager>(make: fn(Area) -> M, tables: fn(&M) -> (*mut u8, usize)) {
    let mut memory = memory();
    let (heap, _) = worn(&mut memory, make);
    let (base, bytes) = tables(&heap);
    let picture = |heap: &M| {
        let mut blocks = Vec::new();
        heap.walk(&mut |block| {
            blocks.push((block, heap.usable_size(block.address as *const u8)));
            ControlFlow::Continue(())
        });
        (blocks, heap.stats())
    };
    let sound = picture(&heap);
    let mut unnoticed = 0;
    for bit in (0..bytes * 8).step_by(if cfg!(miri) { 29 } else { 1 }) {
        let byte = unsafe { base.add(bit / 8) };
        unsafe { *byte ^= 1 << (bit % 8) };
        if heap.check().is_ok() {
            unnoticed += 1;
            assert_eq!(picture(&heap), sound, "bit {bit} matters and was not noticed");
        }
        unsafe { *byte ^= 1 << (bit % 8) };
    }
    heap.check().unwrap();
    assert!(cfg!(miri) || unnoticed * 2 < bytes * 8, "{unnoticed} of {} bits are never read", bytes * 8);
}

/// Damages random bits and goes on: whatever the heap answers, it neither
/// panics nor writes outside its area.
pub(super) fn flips_do_no_harm<M: Manager>(make: fn(Area) -> M, tables: fn(&M) -> (*mut u8, usize)) {
    let mut memory = memory();
    let mut seed = 1u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for _ in 0..if cfg!(miri) { 10 } else { 1500 } {
        let (mut heap, mut blocks) = worn(&mut memory, make);
        let (base, bytes) = tables(&heap);
        for _ in 0..1 + random() % 4 {
            unsafe { *base.add(random() % bytes) ^= 1 << (random() % 8) };
        }
        for _ in 0..60 {
            match random() % 4 {
                0 | 1 => blocks.extend(heap.get(1 + random() % 900).map(|block| block.as_ptr())),
                2 if !blocks.is_empty() => {
                    let block = blocks.swap_remove(random() % blocks.len());
                    let _ = unsafe { heap.free(block) };
                }
                _ if !blocks.is_empty() => {
                    let index = random() % blocks.len();
                    if let Ok(block) = unsafe { heap.extend(blocks[index], 1 + random() % 2000) } {
                        blocks[index] = block.as_ptr();
                    }
                }
                _ => {}
            }
        }
        let guards = [&memory[..GUARD / 8], &memory[memory.len() - GUARD / 8..]];
        assert!(guards.iter().all(|guard| guard.iter().all(|&word| word == u64::MAX)));
    }
}
