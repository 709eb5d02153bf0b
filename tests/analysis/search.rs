use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use memman::analysis::bounds::*;
use memman::analysis::policy::*;
use memman::analysis::search::*;

use crate::{Random, least, random_question};

fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn kind(placement: Placement) -> Kind {
    match placement {
        Placement::By(Policy::FirstFit) => Kind::Ffit,
        Placement::By(Policy::LeftmostBuddy) => Kind::Buddy,
        Placement::Ebuddy => Kind::Ebuddy,
        _ => panic!("no manager places blocks so"),
    }
}

/// The manager with this placement, fresh, in a pool of so many granules.
fn manager(placement: Placement, pool: u32) -> Owned {
    Owned::with_capacity(kind(placement), u64::from(pool)).unwrap()
}

/// The least pool, after its breaking sequence was replayed: refused at the
/// last request in one granule less, served in the pool itself.
fn least_and_replayed(question: &Question) -> Least {
    let found = least(question).unwrap();
    let last = Some(found.breaking.len() - 1);
    if let Placement::By(policy) = question.placement {
        let mut below = Model::new(policy, u64::from(found.pool - 1));
        assert_eq!(replay(&found.breaking, &mut below), last, "{question:?}");
    }
    if question.placement.is_unbounded() || question.placement == Placement::Ebuddy {
        let mut below = manager(question.placement, found.pool - 1);
        assert_eq!(replay(&found.breaking, &mut below), last, "{question:?}");
        let mut enough = manager(question.placement, found.pool);
        assert_eq!(replay(&found.breaking, &mut enough), None, "{question:?}");
    }
    found
}

fn assert_least(question: &Question, pool: u32) {
    assert_eq!(least_and_replayed(question).pool, pool, "{question:?}");
}

#[test]
fn the_least_pools_for_all_sizes_are_found() {
    use Policy::*;
    for (policy, max_live, largest, pool) in [
        (FirstFit, 6, 2, 9),
        (BestFit, 6, 2, 9),
        (NextFit, 6, 2, 10),
        (GoodFit, 6, 2, 9),
        (HalfFit, 6, 2, 9),
        (FirstFit, 8, 2, 12),
        (FirstFit, 6, 4, 10),
        (BestFit, 6, 4, 12),
        (GoodFit, 6, 4, 12),
        (HalfFit, 6, 4, 15),
        (FirstFit, 8, 4, 16),
        (FirstFit, 10, 4, 20),
    ] {
        assert_least(&Question::all_sizes(policy, max_live, largest), pool);
    }
}

#[test]
#[ignore = "minutes, in release; up to 2 GiB"]
fn the_larger_least_pools_for_all_sizes_are_found() {
    use Policy::*;
    for (policy, max_live, largest, pool) in [
        (BestFit, 8, 2, 13),
        (NextFit, 8, 2, 14),
        (GoodFit, 8, 2, 13),
        (HalfFit, 8, 2, 13),
        (NextFit, 6, 4, 12),
        (BestFit, 8, 4, 19),
        (NextFit, 8, 4, 20),
        (GoodFit, 8, 4, 18),
        (HalfFit, 8, 4, 23),
        (BestFit, 10, 4, 23),
        (FirstFit, 12, 4, 26),
        (FirstFit, 12, 8, 28),
        (FirstFit, 14, 4, 30),
    ] {
        assert_least(&Question::all_sizes(policy, max_live, largest), pool);
    }
    let mut search = Search::new(&Question::all_sizes(NextFit, 10, 4), 26).unwrap();
    assert!(matches!(search.run(Limits::default(), &mut go_on), Verdict::Breaks(_)));
}

#[test]
fn the_least_pools_for_powers_of_two_are_found() {
    use Policy::*;
    for (policy, max_live, largest, pool) in [
        (LeftmostBuddy, 8, 2, 12),
        (LeftmostBuddy, 8, 4, 16),
        (LeftmostBuddy, 12, 4, 24),
        (FirstFit, 8, 2, 12),
        (FirstFit, 8, 4, 16),
        (LifoBuddy, 8, 2, 12),
        (LifoBuddy, 8, 4, 16),
    ] {
        assert_least(&Question::powers_of_two(policy, max_live, largest), pool);
    }
}

#[test]
#[ignore = "minutes, in release; up to 2 GiB"]
fn the_larger_least_pools_for_powers_of_two_are_found() {
    use Policy::*;
    for (policy, max_live, largest, pool) in [
        (LifoBuddy, 12, 4, 24),
        (BestFit, 8, 4, 17),
        (FirstFit, 12, 4, 24),
        (LeftmostBuddy, 12, 8, 32),
        (FirstFit, 12, 8, 27),
        (LeftmostBuddy, 16, 4, 32),
        (LeftmostBuddy, 16, 8, 40),
    ] {
        assert_least(&Question::powers_of_two(policy, max_live, largest), pool);
    }
}

/// No bound says so, but an emergency heap can do with less than either part
/// alone.
#[test]
fn twelve_granules_live_need_less_of_ebuddy_than_of_its_parts() {
    let question = |placement| Question::powers_of_two(placement, 12, 4);
    assert_least(&question(Placement::By(Policy::FirstFit)), 24);
    assert_least(&question(Placement::By(Policy::LeftmostBuddy)), 24);
    assert_least(&question(Placement::Ebuddy), 23);
    for pool in 24..=40 {
        let verdict = Search::new(&question(Placement::Ebuddy), pool).unwrap().run(Limits::default(), &mut go_on);
        assert!(matches!(verdict, Verdict::Holds { .. }), "{pool}: {verdict:?}");
    }
}

fn assert_robsons_bound_is_exact(games: &[(u32, u32)]) {
    for &(max_live, largest) in games {
        let sizes: Vec<u32> = (0..=largest.ilog2()).map(|order| 1 << order).collect();
        let exact = any_allocator_least_pool(max_live, &sizes, 14);
        assert_eq!(exact.map(u64::from), Some(robson_granules(u64::from(max_live), u64::from(largest))));
    }
}

#[test]
fn no_allocator_does_with_less_than_robsons_bound_and_some_does_with_it() {
    assert_robsons_bound_is_exact(&[(2, 2), (4, 2), (6, 2), (4, 4)]);
}

#[test]
#[ignore = "half a minute where not optimized"]
fn robsons_bound_is_exact_in_the_larger_games_too() {
    assert_robsons_bound_is_exact(&[(8, 2), (10, 2), (8, 4)]);
}

#[test]
fn t3_is_never_exceeded_however_ties_are_broken() {
    for (max_live, order) in [(4, 1), (6, 1), (8, 1), (4, 2), (6, 2), (8, 2)] {
        let question = Question {
            placement: Placement::AnyBuddy,
            ..Question::powers_of_two(Policy::LifoBuddy, max_live, 1 << order)
        };
        let bound = any_buddy_granules(u64::from(max_live), order).unwrap();
        let verdict = Search::new(&question, bound as u32).unwrap().run(Limits::default(), &mut go_on);
        assert!(matches!(verdict, Verdict::Holds { .. }), "{max_live}, 2^{order} in {bound}");
        println!("{max_live}, 2^{order}: T3 {bound}, exact {}", least(&question).unwrap().pool);
    }
}

/// As stupid a search as can be, by the managers themselves: a state is the list
/// of blocks, and a heap is brought there by making every request again.
/// Returns the states, the highest end, and the requests to it.
fn search_by_manager(empty: impl Fn() -> Owned, max_live: u64, sizes: &[u64]) -> (u64, u64, usize) {
    type State = Vec<(u64, u64)>;
    let mut paths: HashMap<State, Vec<(bool, u64)>> = HashMap::from([(vec![], vec![])]);
    let mut to_do = VecDeque::from([State::new()]);
    let (mut reach, mut shortest) = (0, 0);
    while let Some(state) = to_do.pop_front() {
        let path = paths[&state].clone();
        let heap = || {
            let mut heap = empty();
            for &(get, what) in &path {
                assert!(if get { heap.get(what).is_some() } else { heap.free(what) });
            }
            heap
        };
        let mut reached = Vec::new();
        for &(start, len) in &state {
            assert!(heap().free(start));
            reached.push((
                state.iter().copied().filter(|&block| block != (start, len)).collect::<State>(),
                (false, start),
            ));
        }
        let live: u64 = state.iter().map(|block| block.1).sum();
        for &size in sizes.iter().filter(|&&size| live + size <= max_live) {
            let start = heap().get(size).expect("room enough");
            if start + size > reach {
                (reach, shortest) = (start + size, path.len() + 1);
            }
            let mut after = state.clone();
            after.push((start, size));
            after.sort_unstable();
            reached.push((after, (true, size)));
        }
        for (after, request) in reached {
            if !paths.contains_key(&after) {
                let mut longer = path.clone();
                longer.push(request);
                paths.insert(after.clone(), longer);
                to_do.push_back(after);
            }
        }
    }
    (paths.len() as u64, reach, shortest)
}

#[test]
fn every_move_of_the_search_is_the_managers_own() {
    let (ffit, buddy) = (Policy::FirstFit.into(), Policy::LeftmostBuddy.into());
    for (placement, max_live, sizes) in [
        (ffit, 6, vec![1u32, 2]),
        (ffit, 6, vec![1, 2, 3, 4]),
        (ffit, 8, vec![2, 3, 5]),
        (buddy, 6, vec![1, 2, 4]),
        (buddy, 8, vec![1, 4]),
        (buddy, 8, vec![2, 4, 8]),
        (Placement::Ebuddy, 5, vec![1, 2]),
        (Placement::Ebuddy, 6, vec![1, 4]),
        (Placement::Ebuddy, 6, vec![1, 2, 3]),
        (Placement::Ebuddy, 8, vec![2, 3, 5]),
    ] {
        let question = Question {
            placement,
            max_live,
            granule: 1,
            profile: sizes.iter().map(|&size| SizeRange::any(size as usize, size as usize)).collect(),
        };
        let sizes: Vec<u64> = sizes.into_iter().map(u64::from).collect();
        let least = least_and_replayed(&question).pool;
        let mut search = Search::new(&question, least).unwrap();
        let verdict = search.run(Limits::default(), &mut go_on);
        let (states, reach, shortest) = search_by_manager(|| manager(placement, least), u64::from(max_live), &sizes);
        assert_eq!(verdict, Verdict::Holds { reach: reach as u32 }, "{question:?}");
        assert_eq!(search.states(), states, "{question:?}");
        if placement.is_unbounded() {
            let verdict = Search::new(&question, least - 1).unwrap().run(Limits::default(), &mut go_on);
            assert!(matches!(&verdict, Verdict::Breaks(trace) if trace.len() == shortest), "{question:?}, {verdict:?}");
        }
    }
}

#[test]
fn no_sequence_is_refused_in_the_area_that_a_bound_names() {
    for (max_live, sizes) in [(5, vec![1, 2]), (5, vec![1, 3]), (6, vec![2, 3]), (5, vec![1, 2, 4]), (4, vec![1, 2, 3])]
    {
        let bytes: Vec<SizeRange> = sizes.iter().map(|&size| SizeRange::any(16 * size, 16 * size)).collect();
        let sizes: Vec<u64> = sizes.into_iter().map(|size| size as u64).collect();
        for (kind, required) in [
            (Kind::Ffit, ffit_profile_size(&bytes, 16 * max_live)),
            (Kind::Buddy, buddy_profile_size(&bytes, 16 * max_live)),
            (Kind::Ebuddy, ebuddy_profile_size(&bytes, 16 * max_live)),
        ] {
            let area = required.unwrap();
            let (states, ..) = search_by_manager(|| Owned::new(kind, area).unwrap(), max_live as u64, &sizes);
            assert!(states > 10, "{kind:?}, {max_live}, {sizes:?}");
        }
    }
}

/// The LIFO buddy system with its lists, by order, as stacks.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Stacks {
    lists: Vec<Vec<u32>>,
    blocks: BTreeMap<u32, usize>,
}

impl Stacks {
    fn new(pool: u32) -> Self {
        let mut stacks = Stacks { lists: vec![vec![]; 7], blocks: BTreeMap::new() };
        let mut start = 0;
        for order in (0..7).rev().filter(|order| pool >> order & 1 != 0) {
            stacks.lists[order].push(start);
            start += 1 << order;
        }
        stacks
    }

    fn get(&mut self, order: usize) -> bool {
        let Some(found) = (order..7).find(|&order| !self.lists[order].is_empty()) else { return false };
        let start = self.lists[found].pop().unwrap();
        for half in order..found {
            self.lists[half].push(start + (1 << half));
        }
        self.blocks.insert(start, order);
        true
    }

    fn free(&mut self, mut start: u32) {
        let mut order = self.blocks.remove(&start).unwrap();
        while let Some(at) = self.lists[order].iter().position(|&free| free == start ^ (1 << order)) {
            self.lists[order].remove(at);
            start &= !(1 << order);
            order += 1;
        }
        self.lists[order].push(start);
    }

    /// A window as the policy sees it: which of two buddies is the lower one is
    /// nothing to it.
    fn shape(&self, start: u32, order: usize) -> String {
        if self.blocks.get(&start) == Some(&order) {
            return "block".into();
        }
        if let Some(age) = self.lists[order].iter().position(|&free| free == start) {
            return format!("free {age}");
        }
        let mut halves = [self.shape(start, order - 1), self.shape(start + (1 << (order - 1)), order - 1)];
        halves.sort();
        format!("({} {})", halves[0], halves[1])
    }

    /// The requests of a shortest sequence that is refused, or else the number of
    /// states that differ to the policy.
    fn search(pool: u32, max_live: u32, orders: usize) -> Result<usize, usize> {
        let mut seen = HashSet::from([Stacks::new(pool)]);
        let mut to_do = VecDeque::from([(Stacks::new(pool), 0)]);
        while let Some((state, requests)) = to_do.pop_front() {
            let mut reached: Vec<Stacks> = vec![];
            let live: u32 = state.blocks.values().map(|&order| 1 << order).sum();
            for order in (0..=orders).filter(|order| live + (1 << order) <= max_live) {
                reached.push(state.clone());
                if !reached.last_mut().unwrap().get(order) {
                    return Ok(requests + 1);
                }
            }
            for &start in state.blocks.keys() {
                reached.push(state.clone());
                reached.last_mut().unwrap().free(start);
            }
            for state in reached {
                if seen.insert(state.clone()) {
                    to_do.push_back((state, requests + 1));
                }
            }
        }
        let shapes = seen.iter().map(|state| {
            let mut start = 0;
            let mut trees = vec![];
            for order in (0..7).rev().filter(|order| pool >> order & 1 != 0) {
                trees.push(state.shape(start, order));
                start += 1 << order;
            }
            trees
        });
        Err(shapes.collect::<HashSet<_>>().len())
    }
}

#[test]
fn sorted_buddies_change_no_answer() {
    for (max_live, orders) in [(6, 1), (7, 1), (5, 2), (6, 2), (7, 2)] {
        let question = Question::powers_of_two(Policy::LifoBuddy, max_live, 1 << orders);
        for pool in max_live - 1..=max_live * 2 {
            let mut search = Search::new(&question, pool).unwrap();
            let found = match search.run(Limits::default(), &mut go_on) {
                Verdict::Breaks(trace) => {
                    let refused = replay(&trace, &mut Model::new(Policy::LifoBuddy, u64::from(pool)));
                    assert_eq!(refused, Some(trace.len() - 1), "{question:?}, {pool}");
                    Ok(trace.len())
                }
                _ => Err(search.states() as usize),
            };
            assert_eq!(found, Stacks::search(pool, max_live, orders), "{question:?}, {pool}");
        }
    }
}

#[test]
fn what_breaks_a_pool_below_the_least_replays_on_the_managers() {
    let mut random = Random(99);
    for placement in [Policy::FirstFit.into(), Policy::LeftmostBuddy.into(), Placement::Ebuddy] {
        let smallest = if placement == Placement::Ebuddy { 4 } else { 1 };
        for counts in [false, true] {
            for _ in 0..100 {
                let question = random_question(&mut random, placement, false, counts);
                if crate::small_least(&question).is_ok_and(|found| found.pool > smallest) {
                    least_and_replayed(&question);
                }
            }
        }
    }
}

#[test]
fn a_pool_larger_than_the_least_is_sufficient_and_a_smaller_one_is_not() {
    for policy in [Policy::FirstFit, Policy::LeftmostBuddy] {
        let question = Question::powers_of_two(policy, 6, 4);
        let pool = least(&question).unwrap().pool;
        for tried in [pool - 1, pool, pool + 1, 41, 64] {
            let mut search = Search::new(&question, tried).unwrap();
            match search.run(Limits::default(), &mut go_on) {
                Verdict::Holds { reach } => assert!(reach == pool && tried >= pool),
                Verdict::Breaks(_) => assert!(tried < pool),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_search_that_ran_out_of_memory_or_was_stopped_goes_on_where_it_was() {
    let question = Question::all_sizes(Policy::FirstFit, 10, 4);
    let mut whole = Search::new(&question, 40).unwrap();
    assert_eq!(whole.run(Limits { threads: 1, ..Limits::default() }, &mut go_on), Verdict::Holds { reach: 20 });

    let mut search = Search::new(&question, 40).unwrap();
    let mut memory = 100_000;
    let mut most = 0;
    let mut runs = 0;
    let reach = loop {
        let verdict = search.run(Limits { memory, threads: 2 }, &mut |progress| {
            most = most.max(progress.bytes);
            ControlFlow::Break(())
        });
        match verdict {
            Verdict::Holds { reach } => break reach,
            Verdict::OutOfMemory => memory += memory / 2,
            Verdict::Stopped => {}
            Verdict::Breaks(trace) => panic!("{trace:?}"),
        }
        runs += 1;
    };
    assert_eq!((reach, search.states()), (20, whole.states()));
    assert!(runs > 3);
    assert!(most < memory + (4 << 20));
}

#[test]
fn questions_that_are_none_are_refused_with_a_reason() {
    let question = Question::all_sizes(Policy::FirstFit, 4, 2);
    let pool = |question: &Question, pool| Search::new(question, pool).err();
    assert_eq!(pool(&question, 65), Some(Unsuitable::Pool { most: 64 }));
    assert_eq!(pool(&question, 0), Some(Unsuitable::Pool { most: 64 }));
    assert_eq!(pool(&Question::all_sizes(Policy::NextFit, 4, 2), 33), Some(Unsuitable::Pool { most: 32 }));
    assert_eq!(pool(&Question { profile: vec![], ..question.clone() }, 9), Some(Unsuitable::Sizes));
    assert_eq!(pool(&Question { granule: 0, ..question.clone() }, 9), Some(Unsuitable::Sizes));
    let zero = vec![SizeRange::at_most(1, 0)];
    assert_eq!(pool(&Question { profile: zero, ..question.clone() }, 9), Some(Unsuitable::Sizes));
    let alike = vec![SizeRange::at_most(1, 3), SizeRange::at_most(2, 4)];
    let buddy = Question::all_sizes(Policy::LeftmostBuddy, 8, 4);
    assert_eq!(pool(&Question { profile: alike, ..buddy }, 9), Some(Unsuitable::Counts));
}

#[test]
fn a_least_pool_that_no_search_can_hold_is_told() {
    let question = Question::all_sizes(Policy::LifoBuddy, 33, 1);
    assert!(matches!(least(&question), Err(NoAnswer::TooSmall(Known { at_least: 33, .. }))));
    let question = Question::all_sizes(Policy::FirstFit, 12, 4);
    let limits = Limits { memory: 100_000, threads: 1 };
    assert!(matches!(
        least_pool(&question, limits, &mut go_on),
        Err(NoAnswer::OutOfMemory(Known { at_least: 9.., .. }))
    ));
}
