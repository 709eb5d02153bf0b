use memman::analysis::knuth::*;
use memman::analysis::policy::*;

fn filled(sizes: Sizes, seeds: u64, subject: impl Fn(u64) -> Box<dyn Subject>) -> (Summary, Summary) {
    let runs: Vec<Filled> = (0..seeds).map(|seed| fill(sizes, seed, &mut *subject(sizes.pool()))).collect();
    let requested = Summary::of(runs.iter().map(Filled::requested_part)).unwrap();
    let reserved = Summary::of(runs.iter().map(Filled::reserved_part)).unwrap();
    (requested, reserved)
}

/// The figures of the theory's table, each within 0.025.
#[test]
#[ignore = "a minute where not optimized"]
fn heaps_are_as_full_at_the_first_overflow_as_the_theory_says() {
    use Policy::*;
    for (sizes, expected) in [
        (Sizes::S1, [0.873, 0.904, 0.804, 0.902, 0.732, 0.717, 0.721]),
        (Sizes::S2, [0.944, 0.961, 0.689, 0.955, 0.955, 0.958, 0.958]),
        (Sizes::S3, [0.830, 0.842, 0.702, 0.757, 0.713, 0.781, 0.781]),
    ] {
        let policies = [FirstFit, BestFit, NextFit, GoodFit, HalfFit, LeftmostBuddy, LifoBuddy];
        for (policy, expected) in policies.into_iter().zip(expected) {
            let (requested, reserved) = filled(sizes, 20, |pool| Box::new(Model::new(policy, pool)));
            println!("{} {}: {requested:.3?}, reserved {:.3}", sizes.name(), policy.name(), reserved.mean);
            assert!((requested.mean - expected).abs() < 0.025, "{sizes:?} {policy:?}: {}", requested.mean);
        }
    }
}

#[test]
fn the_managers_fill_as_their_models_do() {
    for sizes in Sizes::ALL {
        for (policy, kind) in [(Policy::FirstFit, Kind::Ffit), (Policy::LeftmostBuddy, Kind::Buddy)] {
            for seed in 0..2 {
                let mut model = Model::new(policy, sizes.pool());
                let mut real = Owned::with_capacity(kind, sizes.pool()).unwrap();
                assert_eq!(fill(sizes, seed, &mut model), fill(sizes, seed, &mut real));
            }
        }
    }
}

#[test]
fn an_emergency_heap_fills_what_the_buddy_system_cannot() {
    let filled = |kind| filled(Sizes::S1, 5, |pool| Box::new(Owned::with_capacity(kind, pool).unwrap())).0.mean;
    assert!(filled(Kind::Ebuddy) > filled(Kind::Buddy) + 0.02);
}

/// Knuth's "not before 95 % is allocated": what the buddy system reserves,
/// under S1 and S2, and nothing else.
#[test]
fn ninety_five_percent_holds_for_what_the_buddy_system_reserves_under_s1_and_s2() {
    let buddy = |sizes| filled(sizes, 5, |pool| Box::new(Owned::with_capacity(Kind::Buddy, pool).unwrap()));
    let ffit = |sizes| filled(sizes, 5, |pool| Box::new(Owned::with_capacity(Kind::Ffit, pool).unwrap()));
    assert!(buddy(Sizes::S1).1.mean > 0.95 && buddy(Sizes::S2).1.mean > 0.95);
    assert!(buddy(Sizes::S3).1.mean < 0.95);
    assert!(buddy(Sizes::S1).0.mean < 0.75);
    assert!(ffit(Sizes::S1).0.mean < 0.95 && ffit(Sizes::S3).0.mean < 0.95);
}

/// Free over live blocks: p/2, where hardly a request fits exactly.
#[test]
fn the_fifty_percent_rule_shows_for_first_fit() {
    let rule = |seed| {
        let run = SteadyRun::new(Sizes::S1, 1000, seed);
        steady(run, &mut Owned::with_capacity(Kind::Ffit, 4 << 20).unwrap()).free_over_live()
    };
    let rule = Summary::of((0..5).map(rule)).unwrap();
    println!("free over live blocks: {rule:.3?}");
    assert!((0.44..0.51).contains(&rule.mean));
}

#[test]
fn the_pool_that_a_trace_needs_is_found_and_is_the_least() {
    for (policy, least, most) in
        [(Policy::FirstFit, 1.05, 1.25), (Policy::BestFit, 1.02, 1.25), (Policy::LeftmostBuddy, 1.03, 1.45)]
    {
        for sizes in Sizes::ALL {
            let run = SteadyRun::new(sizes, 1000, 3);
            let found = least_capacity(run, |capacity| Some(Model::new(policy, capacity))).unwrap();
            let ratio = found.capacity as f64 / found.peak as f64;
            println!("{} {}: {ratio:.3}", policy.name(), sizes.name());
            assert!((least..most).contains(&ratio), "{policy:?} {sizes:?} {ratio}");
            let refused = |capacity| steady(run, &mut Model::new(policy, capacity)).refused;
            assert!(refused(found.capacity) == 0 && refused(found.capacity - 1) > 0);
        }
    }
}

#[test]
fn the_sizes_have_the_distributions_they_are_said_to_have() {
    let mut random = Random::new(1);
    let mut drawn = |sizes: Sizes| -> Vec<u64> { (0..64_000).map(|_| sizes.draw(&mut random)).collect() };
    let share = |sizes: &[u64], size| sizes.iter().filter(|&&drawn| drawn == size).count() as f64 / sizes.len() as f64;

    let s1 = drawn(Sizes::S1);
    assert_eq!((s1.iter().min(), s1.iter().max()), (Some(&100), Some(&2000)));
    let mean = s1.iter().sum::<u64>() as f64 / s1.len() as f64;
    assert!((mean - 1050.0).abs() < 10.0);

    let s2 = drawn(Sizes::S2);
    for (size, part) in [(1, 2.0), (2, 4.0), (4, 8.0), (8, 16.0), (16, 32.0), (32, 32.0)] {
        assert!((share(&s2, size) * part - 1.0).abs() < 0.1, "{size}");
    }

    let s3 = drawn(Sizes::S3);
    for size in [10, 100, 4000] {
        assert!((share(&s3, size) * 22.0 - 1.0).abs() < 0.1, "{size}");
    }
}

#[test]
fn the_same_seed_gives_the_same_experiment() {
    let run = |seed| fill(Sizes::S3, seed, &mut Model::new(Policy::BestFit, Sizes::S3.pool()));
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
    assert_eq!(Summary::of([]), None);
    assert_eq!(Summary::of([1.0, 3.0]), Some(Summary { mean: 2.0, min: 1.0, max: 3.0 }));
}
