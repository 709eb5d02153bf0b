use memman::analysis::bounds::{SizeRange, first_fit_granules, leftmost_buddy_granules, robson_granules};
use memman::analysis::policy::*;
use memman::analysis::robson::*;

fn powers(largest: u64) -> Vec<SizeRange> {
    (0..=largest.ilog2()).map(|order| SizeRange::any(1 << order, 1 << order)).collect()
}

#[test]
fn robsons_attack_costs_every_policy_what_no_allocator_can_avoid() {
    for (live, largest, even) in
        [(8, 2, true), (64, 8, true), (1024, 64, true), (4096, 256, true), (96, 32, false), (1000, 128, false)]
    {
        let least = robson_granules(live, largest);
        for policy in Policy::ALL {
            let done = attack(&mut Model::new(policy, 64 * live), live, largest);
            assert_eq!(done.refused, None);
            assert!(done.peak <= live);
            let lost = if even { 0 } else { largest * 3 / 2 };
            assert!(done.reach + lost >= least, "{policy:?}, {live}, {largest}: {} < {least}", done.reach);
        }
    }
}

#[test]
fn the_real_managers_fall_to_robsons_attack_below_its_bound_and_hold_at_theirs() {
    for (live, largest) in [(64, 8), (1024, 64), (4096, 256)] {
        let sizes = powers(largest);
        for (kind, enough) in [
            (Kind::Ffit, first_fit_granules(&sizes, live as usize, 1).unwrap()),
            (Kind::Buddy, leftmost_buddy_granules(&sizes, live as usize, 1).unwrap()),
        ] {
            let below = robson_granules(live, largest) - 1;
            let mut heap = Owned::with_capacity(kind, below).unwrap();
            assert!(attack(&mut heap, live, largest).refused.is_some(), "{kind:?}, {live}, {largest}");
            let mut heap = Owned::with_capacity(kind, enough).unwrap();
            let done = attack(&mut heap, live, largest);
            assert_eq!(done.refused, None, "{kind:?}, {live}, {largest}");
            assert!(done.reach <= enough);
            println!("{}, {live}, {largest}: reach {} of {enough}", kind.name(), done.reach);
        }
    }
}

#[test]
fn an_attack_is_the_same_on_the_model_and_on_the_manager() {
    for (policy, kind) in [(Policy::FirstFit, Kind::Ffit), (Policy::LeftmostBuddy, Kind::Buddy)] {
        let mut model = Model::new(policy, 10_000);
        let mut real = Owned::with_capacity(kind, 10_000).unwrap();
        assert_eq!(attack(&mut model, 900, 64), attack(&mut real, 900, 64));
        let sizes: Vec<(u64, u64)> = (1..20).map(|size| (size, u64::MAX)).collect();
        let mut model = Model::new(policy, 10_000);
        let mut real = Owned::with_capacity(kind, 10_000).unwrap();
        assert_eq!(comb(&mut model, 900, &sizes), comb(&mut real, 900, &sizes));
        assert!(real.manager().check().is_ok());
    }
}

#[test]
fn a_refused_attack_says_so_and_keeps_to_its_budget() {
    let mut heap = Owned::with_capacity(Kind::Ffit, 100).unwrap();
    let done = attack(&mut heap, 100, 16);
    assert!(done.refused.is_some_and(u64::is_power_of_two));
    assert_eq!(done.peak, 100);
    assert!(done.reach <= 100);
    let counted = comb(&mut Model::new(Policy::FirstFit, 100), 50, &[(1, 7), (3, 2)]);
    assert_eq!((counted.refused, counted.peak), (None, 8));
}
