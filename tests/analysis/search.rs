use memman::analysis::bounds::*;
use memman::analysis::policy::*;
use memman::analysis::search::*;
use std::ops::ControlFlow;

fn least(q: &Question, mem: usize) -> Result<Least, NoAnswer> {
    least_pool(q, Limits { memory: mem, threads: 2 }, &mut |p| {
        let _ = p;
        ControlFlow::Continue(())
    })
}

#[test]
fn big() {
    for q in [
        Question::all_sizes(Policy::FirstFit, 14, 4),
        Question::powers_of_two(Policy::LeftmostBuddy, 16, 4),
        Question::powers_of_two(Policy::LeftmostBuddy, 16, 8),
    ] {
        let t = std::time::Instant::now();
        let mut peak = 0;
        let l = least_pool(&q, Limits { memory: 4 << 30, threads: 2 }, &mut |p| {
            peak = peak.max(p.bytes);
            ControlFlow::Continue(())
        })
        .unwrap();
        println!(
            "{:?} {:?} {} {:?} ops {} peak {}M",
            q.placement,
            q.max_live,
            l.pool,
            t.elapsed(),
            l.breaking.len(),
            peak >> 20
        );
        println!("{} states", l.states);
    }
}
