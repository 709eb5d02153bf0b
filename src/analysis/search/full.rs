//! The states that matter: those in which nothing more may be requested. May
//! use: `rules`.
//!
//! For a placement that takes the *lowest* window that is free (first fit, the
//! leftmost buddy system, and one behind the other in ebuddy) most states need
//! not be looked at:
//!
//! 1. A heap with more blocks is worse for the manager: what can be done to it
//!    without a block can be done with the block after freeing it. So a state
//!    may be *filled*, with any requests, until no more are admissible, and from
//!    there on only full states count.
//! 2. Between two gets no more need be freed than the second one needs: what
//!    need not be free for it to be admissible and to land where it does can
//!    be freed later. So a full state is left by a *leap*: a get into some
//!    window, what lay in that window freed, and as few of the others as its
//!    size and count demand; then it is filled.
//! 3. Several small blocks without a limit on their count, side by side, are
//!    worse for the manager than one that is no smaller. So a get is left out
//!    where gets of a smaller size would land in the same granules.
//!
//! By 1 and 2 any sequence of requests can be followed with a superset of its
//! blocks; by 3 with blocks whose union they are. The gets end where they
//! ended, and the refusals stay. 3 makes a sequence longer, but
//! the sizes in it smaller, so the argument ends. That the answers are those of
//! the search of every state is tested.

use std::cmp::Reverse;
use std::marker::PhantomData;

use super::rules::{Class, Packed, Rules, Scribe, Space, State, Step, Tally, granules, ones};

pub(super) struct Full<K> {
    rules: Rules,
    key: PhantomData<K>,
}

/// A block of a full state.
#[derive(Clone, Copy)]
struct Block<'a> {
    map: u64,
    class: &'a Class,
}

/// A get into a window, start and length, and the granules freed for it.
#[derive(Clone, Copy)]
struct Leap<'a> {
    class: &'a Class,
    /// `None`: no window is free, the get is refused.
    window: Option<(u32, u32)>,
    freed: u64,
}

/// What a state leads to, or `None` where a request is refused.
type Next = Option<State>;

/// Is told every get of a move.
type Told<'a> = dyn FnMut(Leap) + 'a;

/// Makes a move.
type Make<'a> = dyn Fn(&mut Told) -> Next + 'a;

impl<K: Packed> Full<K> {
    pub fn new(rules: Rules) -> Self {
        Full { rules, key: PhantomData }
    }

    /// Every leap from a full state.
    fn leaps<'a>(&'a self, state: State, visit: &mut dyn FnMut(Leap<'a>)) {
        let free = self.rules.free(state);
        let tally = self.rules.tally(state);
        let block = |(start, len)| Block { map: granules(start, len), class: self.rules.class_at(start, len) };
        let mut blocks: Vec<Block> = state.blocks().map(block).collect();
        blocks.sort_by_key(|block| Reverse(block.class.size));
        for class in &self.rules.classes {
            let lowest = class.lowest(free);
            let all = class.windows.iter().flat_map(|windows| ones(windows.starts).map(|start| (start, windows.len)));
            let lower = all.take_while(|&window| Some(window) != lowest);
            for window in lower.map(Some).chain([lowest]) {
                let aim = window.map_or(0, |(start, len)| granules(start, len));
                let mut leap = Leap { class, window, freed: 0 };
                let mut after = tally;
                for block in blocks.iter().filter(|block| block.map & aim != 0) {
                    leap.freed |= block.map;
                    after.remove(block.class);
                }
                self.pay(free, leap, &blocks, after, visit);
            }
        }
    }

    /// Frees as few of `blocks` as make the get of `leap` admissible, in every way.
    fn pay<'a>(&self, free: u64, leap: Leap<'a>, blocks: &[Block], tally: Tally, visit: &mut dyn FnMut(Leap<'a>)) {
        // A window that became free below is the aim of another leap.
        if leap.class.lowest(free | leap.freed) != leap.window {
            return;
        }
        if self.rules.is_admissible(leap.class, &tally) {
            if !self.is_worse_for_the_adversary(free, leap) {
                visit(leap);
            }
            return;
        }
        let limited = self.rules.is_at_limit(leap.class, &tally);
        for (at, block) in blocks.iter().enumerate() {
            let helps = !limited || block.class.limit == leap.class.limit;
            if helps && block.map & leap.freed == 0 {
                let mut after = tally;
                after.remove(block.class);
                // The sizes fall: without any of them the last would not do.
                let rest = if limited { blocks } else { &blocks[at + 1..] };
                self.pay(free, Leap { freed: leap.freed | block.map, ..leap }, rest, after, visit);
            }
        }
    }

    /// Whether blocks of a smaller class would take the very granules of the get:
    /// several without a limit, or one that counts as it does.
    fn is_worse_for_the_adversary(&self, free: u64, leap: Leap) -> bool {
        let Some((start, len)) = leap.window else {
            return false;
        };
        let smaller = self.rules.classes.iter().take_while(|class| class.size < leap.class.size);
        smaller.into_iter().any(|class| {
            let part = class.windows[self.rules.part_of(start)].len;
            let blocks = len / part;
            blocks * part == len
                && blocks * class.size <= leap.class.size
                && (class.limit == 0 || blocks == 1 && class.limit == leap.class.limit)
                && class.lowest(free | leap.freed) == Some((start, part))
        })
    }

    /// Makes the requests that are admissible, smallest first, until none is.
    fn fill(&self, mut state: State, got: &mut Told) -> Next {
        let mut tally = self.rules.tally(state);
        while let Some(class) = self.rules.admissible(tally).next() {
            let window = class.lowest(self.rules.free(state));
            got(Leap { class, window, freed: 0 });
            let (start, len) = window?;
            state = state.with(start, len);
            tally.add(self.rules.class_at(start, len));
        }
        Some(state)
    }

    /// Makes a leap, and tells every get.
    fn make(&self, state: State, leap: Leap, got: &mut Told) -> Next {
        got(leap);
        let (start, len) = leap.window?;
        self.fill(state.without(leap.freed).with(start, len), got)
    }

    /// Every move from a state; the first is from the empty heap to a full one.
    fn each(&self, state: State, visit: &mut dyn FnMut(&Make)) {
        if state == State::default() {
            visit(&|got| self.fill(state, got));
        } else {
            self.leaps(state, &mut |leap| visit(&|got| self.make(state, leap, got)));
        }
    }
}

impl<K: Packed> Space for Full<K> {
    type Key = K;
    /// The key before.
    type Link = K;

    fn expand(&self, key: K, visit: &mut dyn FnMut(Step<K, K>)) {
        self.each(key.unpack(), &mut |make| {
            let mut end = 0;
            let after = make(&mut |get| end = end.max(get.window.map_or(0, |(start, len)| start + len)));
            visit(match after {
                Some(after) => Step::State { key: K::pack(after), link: key, end },
                None => Step::Refused,
            });
        });
    }

    fn before(&self, _: K, link: K) -> K {
        link
    }

    fn tell(&self, path: &[K], refused: bool, scribe: &mut Scribe) {
        let behind = path[1..].iter().map(|key| Some(key.unpack())).chain(refused.then_some(None));
        for (key, wanted) in path.iter().zip(behind) {
            let state = key.unpack();
            let mut found = false;
            self.each(state, &mut |make| {
                if found || make(&mut |_| ()) != wanted {
                    return;
                }
                found = true;
                make(&mut |get| {
                    for (start, _) in state.blocks().filter(|&(start, _)| get.freed >> start & 1 != 0) {
                        scribe.free(start);
                    }
                    match get.window {
                        Some((start, len)) => scribe.get(get.class.granules, start, len),
                        None => scribe.refused(get.class.granules),
                    }
                });
            });
        }
    }
}
