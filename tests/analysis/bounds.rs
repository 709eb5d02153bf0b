use memman::analysis::bounds::*;
use memman::analysis::policy::{Kind, Model, Owned, Policy, Real, Subject};
use memman::analysis::robson;
use memman::analysis::search::{Placement, Question};
use memman::heap::{Area, Buddy, Ebuddy, Ffit};

use crate::{Random, random_question, small_least};

/// How a bound compares with the exact figures of many questions.
struct Comparison {
    exact: usize,
    worst: f64,
    mean: f64,
}

const QUESTIONS: usize = 500;

/// Over random questions: the bound is never exceeded.
fn held_against_the_search(
    name: &str,
    mut question: impl FnMut(&mut Random) -> Question,
    bound: fn(&[SizeRange], usize, usize) -> Option<u64>,
) -> Comparison {
    let mut random = Random(20_250_611);
    let (mut tried, mut exact, mut worst, mut sum) = (0, 0, 0f64, 0f64);
    while tried < QUESTIONS {
        let question = question(&mut random);
        let Ok(found) = small_least(&question) else { continue };
        let bound = bound(&question.profile, question.max_live as usize, question.granule as usize).unwrap();
        assert!(bound >= u64::from(found.pool), "{question:?}: bound {bound}, exact {}", found.pool);
        tried += 1;
        exact += usize::from(bound == u64::from(found.pool));
        let ratio = bound.max(1) as f64 / f64::from(found.pool.max(1));
        worst = worst.max(ratio);
        sum += ratio;
    }
    let mean = sum / tried as f64;
    println!("{name}: {exact} of {tried} exact; bound / exact at worst {worst:.3}, mean {mean:.4}");
    Comparison { exact, worst, mean }
}

#[test]
fn t1_is_never_exceeded_by_first_fit() {
    let by = Placement::By(Policy::FirstFit);
    for (counts, name) in [(false, "T1"), (true, "T1 with counts")] {
        let comparison =
            held_against_the_search(name, |random| random_question(random, by, false, counts), first_fit_granules);
        assert!(comparison.mean < 1.05 && comparison.worst < 1.7);
    }
}

#[test]
fn t2_is_never_exceeded_by_leftmost_buddy_and_nearly_always_exact() {
    let by = Placement::By(Policy::LeftmostBuddy);
    for (powers, counts, name) in [
        (true, false, "T2, powers of two"),
        (true, true, "T2, powers of two with counts"),
        (false, false, "T2"),
        (false, true, "T2 with counts"),
    ] {
        let comparison = held_against_the_search(
            name,
            |random| random_question(random, by, powers, counts),
            leftmost_buddy_granules,
        );
        let least = if powers && !counts { QUESTIONS } else { QUESTIONS * 99 / 100 };
        assert!(comparison.exact >= least);
    }
}

#[test]
fn t3_is_never_exceeded_by_the_buddy_system_with_lists() {
    let by = Placement::By(Policy::LifoBuddy);
    for (powers, counts, name) in
        [(true, false, "T3, powers of two"), (false, false, "T3"), (false, true, "T3 with counts")]
    {
        let comparison = held_against_the_search(
            name,
            |random| random_question(random, by, powers, counts),
            any_buddy_profile_granules,
        );
        assert!(comparison.exact > 0);
    }
}

#[test]
fn t4_is_never_exceeded_by_ebuddy() {
    for (powers, counts, name) in [
        (true, false, "T4, powers of two"),
        (true, true, "T4, powers of two with counts"),
        (false, false, "T4"),
        (false, true, "T4 with counts"),
    ] {
        let question = |random: &mut Random| random_question(random, Placement::Ebuddy, powers, counts);
        let comparison = held_against_the_search(name, question, ebuddy_granules);
        assert!(comparison.exact > 0);
    }
}

/// One range instead of the sizes in it, and the sum of their counts.
fn as_range(profile: &[SizeRange]) -> SizeRange {
    SizeRange {
        min: profile.iter().map(|range| range.min).min().unwrap(),
        max: profile.iter().map(|range| range.max).max().unwrap(),
        count: profile.iter().fold(0, |sum: usize, range| sum.saturating_add(range.count)),
    }
}

#[test]
fn a_range_with_a_count_covers_every_way_to_share_it_out() {
    let mut random = Random(77);
    for policy in [Policy::FirstFit, Policy::LeftmostBuddy] {
        let mut limited = 0;
        while limited < 150 {
            let question = random_question(&mut random, Placement::By(policy), false, true);
            let range = as_range(&question.profile);
            let Ok(found) = small_least(&question) else { continue };
            let (live, granule) = (question.max_live as usize, question.granule as usize);
            let bound = match policy {
                Policy::FirstFit => first_fit_granules(&[range], live, granule),
                _ => leftmost_buddy_granules(&[range], live, granule),
            };
            assert!(bound.unwrap() >= u64::from(found.pool), "{question:?}");
            limited += usize::from(range.count != UNLIMITED);
        }
    }
}

/// The same with the search of the whole range.
#[test]
fn a_count_that_a_range_shares_is_searched() {
    let mut random = Random(78);
    for (policy, bound) in [
        (Policy::FirstFit, first_fit_granules as fn(&[SizeRange], usize, usize) -> _),
        (Policy::LeftmostBuddy, leftmost_buddy_granules),
    ] {
        let mut limited = 0;
        while limited < 30 {
            let question = random_question(&mut random, Placement::By(policy), false, true);
            let range = as_range(&question.profile);
            if range.count == UNLIMITED || question.max_live > 8 {
                continue;
            }
            let whole = Question { profile: vec![range], ..question.clone() };
            let (Ok(parts), Ok(found)) = (small_least(&question), small_least(&whole)) else { continue };
            assert!(parts.pool <= found.pool, "{question:?}");
            let bound = bound(&whole.profile, whole.max_live as usize, whole.granule as usize);
            assert!(bound.unwrap() >= u64::from(found.pool), "{whole:?}");
            limited += 1;
        }
    }
}

/// M(1 + r/2), for M a multiple of 2^r that leaves room for the last block at
/// every order; rounded down to a multiple of 2^r, which is where blocks end.
#[test]
fn t2_is_the_closed_form_where_there_is_one() {
    for order in 0..12u32 {
        let sizes: Vec<SizeRange> = (0..=order).map(|k| SizeRange::any(1 << k, 1 << k)).collect();
        for multiple in 1..40u64 {
            let live = multiple << order;
            let bound = leftmost_buddy_granules(&sizes, live as usize, 1).unwrap();
            let closed = (live + live * u64::from(order) / 2) >> order << order;
            assert!(bound <= closed, "{live}, 2^{order}: {bound}");
            if multiple >= u64::from(order) {
                assert_eq!(bound, closed, "{live}, 2^{order}");
            }
            assert!(bound < robson_granules(live, 1 << order) + (1 << order), "{live}, 2^{order}");
        }
    }
}

#[test]
fn t1_has_the_figures_of_the_theory() {
    for (live, largest, bound) in
        [(6, 2, 9), (8, 2, 13), (6, 4, 11), (8, 4, 17), (10, 4, 22), (12, 4, 27), (12, 8, 30), (14, 4, 32)]
    {
        assert_eq!(first_fit_granules(&[SizeRange::any(1, largest)], live, 1), Some(bound));
    }
    const LIVE: usize = 1 << 24;
    for (largest, ratio, tolerance) in
        [(2, 1.75, 0.005), (4, 2.60, 0.005), (8, 3.51, 0.005), (256, 8.43, 0.005), (4096, 12.43, 0.125)]
    {
        let bound = first_fit_granules(&[SizeRange::any(1, largest)], LIVE, 1).unwrap();
        let reached = bound as f64 / LIVE as f64;
        assert!((reached - ratio).abs() <= tolerance, "{largest}: {reached}");
        assert!(bound < knuth_first_fit_granules(LIVE as u64, largest as u64).unwrap());
    }
}

#[test]
fn t3_has_the_figures_of_the_theory() {
    for (order, ratio) in [(2, 2.125), (4, 3.68), (8, 7.43), (10, 9.40), (16, 15.39)] {
        let live = 1 << 36;
        let reached = any_buddy_granules(live, order).unwrap() as f64 / live as f64;
        assert!((reached - ratio).abs() <= 0.0051, "2^{order}: {reached}");
    }
    assert_eq!(any_buddy_granules(0, 5), Some(0));
    assert_eq!(any_buddy_granules(u64::MAX, 63), None);
    assert_eq!(any_buddy_granules(1, 64), None);
}

#[test]
fn what_others_need_has_the_figures_of_the_literature() {
    // M H_n / ln 2 with H_4 = 25/12; 14 of it are 42.08.
    assert_eq!(knuth_first_fit_granules(14, 4), Some(43));
    // Euler's ln n + 0.5772 + 1/2n is harmonic numbers to 9 digits here.
    for n in [10_000u64, 1 << 20, 1 << 40] {
        let exact = ((n as f64).ln() + 0.577_215_664_9) / std::f64::consts::LN_2;
        let bound = knuth_first_fit_granules(1 << 20, n).unwrap() as f64 / f64::from(1 << 20);
        assert!((1.0..1.001).contains(&(bound / exact)), "{n}: {bound}, {exact}");
    }
    assert_eq!(half_fit_granules(100, 256), Some(1800));
    assert_eq!(best_fit_granules(100, 256), Some(25_400));
    assert_eq!(half_fit_granules(u64::MAX, 256), None);
    assert_eq!(best_fit_granules(u64::MAX, 256), None);
    assert_eq!(knuth_first_fit_granules(u64::MAX, 256), None);
}

/// Knowing more never needs more.
#[test]
fn what_is_known_of_a_program_never_costs() {
    let mut random = Random(5);
    for _ in 0..300 {
        let (min, width, live) = (1 + random.below(300), random.below(3000), random.below(1 << 17));
        let (min, max, live) = (min as usize, (min + width) as usize, live as usize);
        let wide = [SizeRange::any(min, max)];
        let narrow = [SizeRange::any(min + width as usize / 4, max - width as usize / 4)];
        let counted = [SizeRange { count: 1 + random.below(40) as usize, ..wide[0] }];
        for (name, bound) in
            [("T1", first_fit_granules as fn(&[SizeRange], usize, usize) -> _), ("T2", leftmost_buddy_granules)]
        {
            let known = bound(&wide, live, 16).unwrap();
            let context = format!("{name}, {wide:?}, {live}, {counted:?}");
            assert!(bound(&counted, live, 16).unwrap() <= known, "{context}");
            assert!(bound(&wide, live.saturating_sub(64), 16).unwrap() <= known, "{context}");
            // Other cuts into classes: not monotone beyond their width.
            assert!(bound(&narrow, live, 16).unwrap() <= known + known / 16, "{context}");
        }
    }
}

#[test]
fn ranges_that_overlap_are_as_good_as_their_union() {
    let parts = [SizeRange::any(100, 300), SizeRange::any(16, 120), SizeRange::any(290, 900)];
    let whole = [SizeRange::any(16, 900)];
    assert_eq!(ffit_profile_size(&parts, 30_000), ffit_profile_size(&whole, 30_000));
    assert_eq!(buddy_profile_size(&parts, 30_000), buddy_profile_size(&whole, 30_000));
    let twice = [SizeRange::at_most(3, 40), SizeRange::at_most(4, 40)];
    assert_eq!(ffit_profile_size(&twice, UNLIMITED), ffit_profile_size(&[SizeRange::at_most(7, 40)], UNLIMITED));
    // More ranges than are kept apart.
    let many: Vec<SizeRange> = (1..200).rev().map(|i| SizeRange::at_most(1, i * 64)).collect();
    let few = [SizeRange::at_most(1, 64), SizeRange::at_most(1, 199 * 64)];
    assert!(ffit_profile_size(&many, UNLIMITED).unwrap() > ffit_profile_size(&few, UNLIMITED).unwrap());
    assert!(buddy_profile_size(&many, UNLIMITED).unwrap() > buddy_profile_size(&few, UNLIMITED).unwrap());
}

#[test]
fn what_does_not_fit_or_makes_no_sense_has_no_bound() {
    for required in [ffit_required_size, buddy_required_size, ebuddy_required_size] {
        assert_eq!(required(1000, 16, 17), None);
        assert_eq!(required(usize::MAX, 4096, 16), None);
        assert_eq!(required(usize::MAX, usize::MAX, 1), None);
        assert_eq!(required(isize::MAX as usize, 1 << 40, 16), None);
        assert!(required(0, 16, 16).is_some());
        assert_eq!(required(100, 100, 0), required(100, 100, 1));
    }
    assert_eq!(ffit_profile_size(&[SizeRange::at_most(usize::MAX - 1, 16)], UNLIMITED), None);
    assert_eq!(any_allocator_required_size(usize::MAX, usize::MAX, 1), usize::MAX);
}

/// Above 2^31 granules of 16 bytes an area has larger ones.
#[test]
fn terabytes_have_a_bound_with_larger_granules() {
    for required in [ffit_required_size, buddy_required_size] {
        let small = required(1 << 30, 1 << 20, 1 << 16).unwrap();
        let large = required(1 << 40, 1 << 20, 1 << 16).unwrap();
        assert!(large > 900 * small && large < 1500 * small);
        // More blocks than there can be granules, however large.
        assert_eq!(required(8 << 40, 1 << 20, 1 << 10), None);
    }
}

#[test]
fn the_bounds_are_known_at_compile_time() {
    const FFIT: usize = ffit_required_size(64 << 10, 4096, 16).unwrap();
    const BUDDY: usize = buddy_required_size(64 << 10, 4096, 16).unwrap();
    const PROFILE: [SizeRange; 2] = [SizeRange::at_most(40, 24), SizeRange::at_most(3, 4096)];
    const STATIC: usize = buddy_profile_size(&PROFILE, UNLIMITED).unwrap();
    assert_eq!(Some(FFIT), ffit_required_size(64 << 10, 4096, 16));
    assert_eq!(Some(BUDDY), buddy_required_size(64 << 10, 4096, 16));
    assert_eq!(Some(STATIC), buddy_profile_size(&PROFILE, UNLIMITED));
}

#[test]
fn the_granules_of_a_bound_are_there_at_any_alignment_of_the_area() {
    let mut random = Random(11);
    let mut memory = vec![0u8; 1 << 20];
    for _ in 0..60 {
        let (live, min) = (16 + random.below(1 << 14) as usize, 1 + random.below(64) as usize);
        let max = min + random.below(1000) as usize;
        for (kind, bytes, granules) in [
            (Kind::Ffit, ffit_required_size(live, max, min), first_fit_granules(&[SizeRange::any(min, max)], live, 16)),
            (
                Kind::Buddy,
                buddy_required_size(live, max, min),
                leftmost_buddy_granules(&[SizeRange::any(min, max)], live, 16),
            ),
        ] {
            let (bytes, granules) = (bytes.unwrap(), granules.unwrap());
            for skew in 0..16 {
                // SAFETY: the heap is gone before the next one.
                let area = unsafe { Area::from_raw(memory[skew..skew + bytes].as_mut_ptr(), bytes) }.unwrap();
                assert!(kind.make(area).unwrap().stats().size >= granules * 16);
            }
        }
    }
}

#[test]
fn no_bound_is_below_what_init_accepts() {
    assert!(ffit_required_size(1, 1, 1).unwrap() >= Ffit::minimum_area());
    assert!(buddy_required_size(1, 1, 1).unwrap() >= Buddy::minimum_area());
    assert!(ebuddy_required_size(1, 1, 1).unwrap() >= Ebuddy::minimum_area());
}

#[test]
fn what_a_pool_guarantees_is_the_inverse_of_what_is_required() {
    for (max, min) in [(16, 16), (256, 16), (4096, 32)] {
        for area in [0, 100, 5000, 70_001, 1 << 20] {
            for (guaranteed, required) in [
                (ffit_guaranteed_live(area, max, min), ffit_required_size as fn(usize, usize, usize) -> Option<usize>),
                (buddy_guaranteed_live(area, max, min), buddy_required_size),
            ] {
                if guaranteed > 0 {
                    assert!(required(guaranteed, max, min).unwrap() <= area);
                    assert!(guaranteed >= max);
                }
                assert!(required((guaranteed + 1).max(max), max, min).unwrap() > area);
            }
        }
    }
}

#[test]
fn what_granules_guarantee_is_the_inverse_too_and_no_attack_breaks_it() {
    let mut attacks_that_reach = 0;
    for largest in [1usize, 2, 8, 32] {
        for granules in [40, 1000, 5001] {
            let live = first_fit_guaranteed_granules(granules, largest, 1);
            let need = |live| first_fit_granules(&[SizeRange::any(1, largest)], live, 1).unwrap() as usize;
            assert!(live == 0 || live >= largest && need(live) <= granules);
            assert!(need((live + 1).max(largest)) > granules);

            let powers: Vec<_> = (0..=largest.ilog2()).map(|k| SizeRange::any(1 << k, 1 << k)).collect();
            let need = |live| leftmost_buddy_granules(&powers, live, 1).unwrap() as usize;
            for taken in [0, 1, 8, 32] {
                let live = buddy_guaranteed_granules(granules, taken, largest, 1);
                let behind = granules - taken.next_multiple_of(largest).min(granules);
                assert!(live == 0 || live >= largest && need(live) <= behind);
                assert!(need((live + 1).max(largest)) > behind);
                let mut heap = Model::new(Policy::LeftmostBuddy, granules as u64);
                assert!(taken == 0 || heap.get(taken as u64) == Some(0));
                let attack = robson::attack(&mut heap, live as u64, largest as u64);
                assert_eq!(attack.refused, None, "{largest} {granules} {taken}");
                // The guarantee is not idle: a little more, and somebody is refused.
                let mut heap = Model::new(Policy::LeftmostBuddy, granules as u64);
                assert!(taken == 0 || heap.get(taken as u64) == Some(0));
                let more = (live + 4 * largest) as u64;
                attacks_that_reach += usize::from(robson::attack(&mut heap, more, largest as u64).refused.is_some());
            }
        }
    }
    assert!(attacks_that_reach > 20, "{attacks_that_reach} of 48");
    assert_eq!(buddy_guaranteed_granules(100, 0, 4, 5), 0);
    assert_eq!(buddy_guaranteed_granules(100, 0, usize::MAX, 1), 0);
    assert_eq!(buddy_guaranteed_granules(100, usize::MAX, 4, 1), 0);
}

/// The table of the theory, for blocks without headers.
#[test]
fn the_pools_in_bytes_are_so_many_times_what_is_live() {
    for (live, max, min, ffit, buddy) in [
        (64 << 10, 4096, 16, 10.15, 9.09),
        (64 << 10, 1024, 64, 5.89, 5.07),
        (1 << 20, 64 << 10, 32, 13.24, 12.14),
        (8 << 10, 256, 16, 6.08, 5.03),
    ] {
        let times = |bytes: Option<usize>| bytes.unwrap() as f64 / live as f64;
        let found = [times(ffit_required_size(live, max, min)), times(buddy_required_size(live, max, min))];
        println!(
            "{live} / {max} / {min}: ffit {:.2}, buddy {:.2}, ebuddy {:.2}, any allocator at least {:.2}",
            found[0],
            found[1],
            times(ebuddy_required_size(live, max, min)),
            any_allocator_required_size(live, max, min) as f64 / live as f64,
        );
        assert!((found[0] - ffit).abs() < 0.006 && (found[1] - buddy).abs() < 0.006, "{found:?}");
        assert!(any_allocator_required_size(live, max, min) as f64 / live as f64 <= buddy);
    }
}

/// The embedded user's profile: in the area that the bound names no attack and
/// no random program is ever refused.
#[test]
fn forty_blocks_of_24_bytes_and_three_of_4096_are_never_refused_in_the_area_named() {
    let profile = [SizeRange::at_most(40, 24), SizeRange::at_most(3, 4096)];
    let sizes = [
        (Kind::Ffit, ffit_profile_size(&profile, UNLIMITED).unwrap()),
        (Kind::Buddy, buddy_profile_size(&profile, UNLIMITED).unwrap()),
        (Kind::Ebuddy, ebuddy_profile_size(&profile, UNLIMITED).unwrap()),
    ];
    for (kind, bytes) in sizes {
        println!("{}: {bytes} bytes", kind.name());
        let comb = robson::comb(&mut Owned::new(kind, bytes).unwrap(), u64::MAX / 2, &[(2, 40), (256, 3)]);
        assert_eq!(comb.refused, None, "{kind:?}");
        for seed in 1..60 {
            let mut memory = vec![0u8; bytes + 16];
            let skew = seed as usize % 16;
            // SAFETY: the memory outlives the heap.
            let area = unsafe { Area::from_raw(memory[skew..skew + bytes].as_mut_ptr(), bytes) }.unwrap();
            let mut manager = kind.make(area).unwrap();
            let mut heap = Real::new(&mut *manager);
            let mut random = Random(seed);
            let mut live: [Vec<u64>; 2] = [vec![], vec![]];
            for _ in 0..3000 {
                let which = random.below(2) as usize;
                let (size, most) = [(2, 40), (256, 3)][which];
                if live[which].len() < most && random.below(2) == 0 {
                    live[which].push(heap.get(size).expect("the bound is no promise"));
                } else if !live[which].is_empty() {
                    let number = random.below(live[which].len() as u64) as usize;
                    assert!(heap.free(live[which].swap_remove(number)));
                }
            }
        }
    }
}

/// Random programs that keep to max_live, max_block and min_block, with sizes
/// drawn where rounding hurts most.
#[test]
fn a_heap_of_the_required_size_serves_every_random_program() {
    for (kind, required) in [
        (Kind::Ffit, ffit_required_size as fn(usize, usize, usize) -> Option<usize>),
        (Kind::Buddy, buddy_required_size),
        (Kind::Ebuddy, ebuddy_required_size),
    ] {
        for seed in 1..100 {
            let mut random = Random(seed);
            let (min, live_most) = (1 + random.below(40) as usize, 200 + random.below(4000) as usize);
            let max = min + random.below(160) as usize;
            let bytes = required(live_most, max, min).unwrap();
            let mut memory = vec![0u8; bytes];
            // SAFETY: the memory outlives the heap.
            let mut heap = kind.make(unsafe { Area::from_raw(memory.as_mut_ptr(), bytes) }.unwrap()).unwrap();
            let mut blocks: Vec<(*mut u8, usize)> = Vec::new();
            let mut live = 0;
            for step in 0..3000 {
                let phase = step / 300 % 4 * 16;
                let size = (min + random.below((max - min + 1) as u64) as usize).min(max);
                let size = if random.below(2) == 0 { size } else { (size / 16 * 16 + 1).max(min + phase).min(max) };
                if live + size <= live_most {
                    let block = heap.get(size).unwrap_or_else(|| panic!("{kind:?}, seed {seed}, step {step}"));
                    blocks.push((block.as_ptr(), size));
                    live += size;
                } else {
                    for _ in 0..1 + random.below(6) {
                        let (block, size) = blocks.swap_remove(random.below(blocks.len() as u64) as usize);
                        live -= size;
                        // SAFETY: nobody uses the block.
                        unsafe { heap.free(block) }.unwrap();
                        if blocks.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// In a pool just below its bound a model can still be fooled now and then: the
/// bound is no idle caution.
#[test]
fn first_fit_under_the_comb_comes_near_its_bound() {
    for largest in [2u64, 4, 8, 16] {
        let live = 4096;
        let sizes: Vec<(u64, u64)> = (1..=largest).map(|size| (size, u64::MAX)).collect();
        let reach = robson::comb(&mut Model::new(Policy::FirstFit, 1 << 20), live, &sizes).reach;
        let bound = first_fit_granules(&[SizeRange::any(1, largest as usize)], live as usize, 1).unwrap();
        println!("1..={largest}: comb {reach}, T1 {bound}");
        assert!(reach <= bound && reach * 10 >= bound * 7);
    }
}
