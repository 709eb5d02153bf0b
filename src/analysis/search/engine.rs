//! The search: breadth first over the states of a space, by several threads,
//! within an amount of memory. May use: `rules`.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::rules::{Key, Scribe, Space, Step};
use super::{Limits, Op, Progress, Verdict};

/// Places in a new part of the table.
const FIRST_PLACES: usize = 16;

/// One part of the table: open addressing, linear probing, at most 4/5 full.
/// The root is not kept: its key 0 marks an empty place.
struct Shard<K, L> {
    keys: Vec<K>,
    links: Vec<L>,
    len: usize,
}

impl<K: Key, L: Copy + Default> Shard<K, L> {
    fn new() -> Self {
        Shard { keys: vec![K::default(); FIRST_PLACES], links: vec![L::default(); FIRST_PLACES], len: 0 }
    }

    fn place(keys: &[K], key: K) -> usize {
        // The upper bits; the lower ones chose the shard.
        let mut at = ((u128::from(key.hash()) * keys.len() as u128) >> 64) as usize;
        while keys[at] != key && keys[at] != K::default() {
            at += 1;
            if at == keys.len() {
                at = 0;
            }
        }
        at
    }

    /// `true` where the key is new; adds what the table grew by to `bytes`.
    fn insert(&mut self, key: K, link: L, bytes: &AtomicUsize) -> bool {
        let mut at = Self::place(&self.keys, key);
        if self.keys[at] == key {
            return false;
        }
        if self.len * 5 >= self.keys.len() * 4 {
            self.grow(bytes);
            at = Self::place(&self.keys, key);
        }
        self.keys[at] = key;
        self.links[at] = link;
        self.len += 1;
        true
    }

    fn grow(&mut self, bytes: &AtomicUsize) {
        let more = self.keys.len() / 2;
        let mut keys = vec![K::default(); self.keys.len() + more];
        let mut links = vec![L::default(); keys.len()];
        for (&key, &link) in self.keys.iter().zip(&self.links) {
            if key != K::default() {
                let at = Self::place(&keys, key);
                keys[at] = key;
                links[at] = link;
            }
        }
        self.keys = keys;
        self.links = links;
        bytes.fetch_add(more * (size_of::<K>() + size_of::<L>()), Ordering::Relaxed);
    }

    fn link(&self, key: K) -> Option<L> {
        let at = Self::place(&self.keys, key);
        (self.keys[at] == key).then(|| self.links[at])
    }
}

const SHARDS: usize = 256;

fn shard_of<K: Key>(key: K) -> usize {
    key.hash() as usize % SHARDS
}

/// States handed to a thread at once.
const SEGMENT: usize = 4096;
/// Successors collected for a shard before it is locked.
const BATCH: usize = 64;
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A search of one question in one pool, breadth first.
pub(super) struct Engine<S: Space> {
    space: S,
    limits: Limits,
    pool: u32,
    table: Vec<Mutex<Shard<S::Key, S::Link>>>,
    /// States of this depth that are not expanded yet, and of the next.
    now: Mutex<Vec<Vec<S::Key>>>,
    next: Mutex<Vec<Vec<S::Key>>>,
    depth: u32,
    states: AtomicU64,
    bytes: AtomicUsize,
    to_do: AtomicU64,
    /// The highest end, and the first state behind it.
    reach: Mutex<(u32, S::Key)>,
    /// A state from where a request is refused.
    refused: Mutex<Option<S::Key>>,
    halt: AtomicBool,
}

/// A lock; a panic elsewhere is passed on by the scope that joins the threads.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) type Report<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

impl<S: Space> Engine<S> {
    pub fn new(space: S, pool: u32) -> Self {
        Engine {
            space,
            limits: Limits::default(),
            pool,
            table: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            now: Mutex::new(vec![vec![S::Key::default()]]),
            next: Mutex::new(Vec::new()),
            depth: 0,
            states: AtomicU64::new(1),
            bytes: AtomicUsize::new(SHARDS * FIRST_PLACES * (size_of::<S::Key>() + size_of::<S::Link>())),
            to_do: AtomicU64::new(1),
            reach: Mutex::new((0, S::Key::default())),
            refused: Mutex::new(None),
            halt: AtomicBool::new(false),
        }
    }

    fn memory(&self) -> usize {
        let waiting = self.to_do.load(Ordering::Relaxed) as usize;
        self.bytes.load(Ordering::Relaxed) + waiting * size_of::<S::Key>()
    }

    fn progress(&self, begun: Instant) -> Progress {
        Progress {
            pool: self.pool,
            states: self.states.load(Ordering::Relaxed),
            to_do: self.to_do.load(Ordering::Relaxed),
            depth: self.depth,
            reach: self.reach(),
            bytes: self.memory(),
            elapsed: begun.elapsed(),
        }
    }

    /// Puts a batch into its shard, and the new ones into `fresh`.
    fn flush(&self, batch: &mut Vec<(S::Key, S::Link)>, fresh: &mut Vec<S::Key>) {
        let Some(&(first, _)) = batch.first() else {
            return;
        };
        let before = fresh.len();
        let mut shard = lock(&self.table[shard_of(first)]);
        for (key, link) in batch.drain(..) {
            if shard.insert(key, link, &self.bytes) {
                fresh.push(key);
            }
        }
        drop(shard);
        let new = (fresh.len() - before) as u64;
        self.states.fetch_add(new, Ordering::Relaxed);
        self.to_do.fetch_add(new, Ordering::Relaxed);
        if fresh.len() >= SEGMENT {
            lock(&self.next).push(std::mem::take(fresh));
        }
    }

    /// Expands states of this depth until none are left or somebody halts.
    fn work(&self, tick: &mut dyn FnMut()) {
        let mut batches: Vec<Vec<_>> = (0..SHARDS).map(|_| Vec::new()).collect();
        let mut fresh = Vec::new();
        let mut reach = lock(&self.reach).0;
        while !self.halt.load(Ordering::Relaxed) {
            let Some(segment) = lock(&self.now).pop() else {
                break;
            };
            for &state in &segment {
                self.space.expand(state, &mut |step| match step {
                    Step::State { key, link, end } => {
                        if end > reach {
                            let mut highest = lock(&self.reach);
                            if end > highest.0 {
                                *highest = (end, key);
                            }
                            reach = highest.0;
                        }
                        // The root is in no table.
                        if key != S::Key::default() {
                            let batch = &mut batches[shard_of(key)];
                            batch.push((key, link));
                            if batch.len() == BATCH {
                                self.flush(batch, &mut fresh);
                            }
                        }
                    }
                    Step::Refused => {
                        lock(&self.refused).get_or_insert(state);
                        self.halt.store(true, Ordering::Relaxed);
                    }
                });
            }
            self.to_do.fetch_sub(segment.len() as u64, Ordering::Relaxed);
            if self.memory() > self.limits.memory {
                self.halt.store(true, Ordering::Relaxed);
            }
            tick();
        }
        for batch in &mut batches {
            self.flush(batch, &mut fresh);
        }
        if !fresh.is_empty() {
            lock(&self.next).push(fresh);
        }
    }

    /// The requests to a state, which is in the table or the root, and if
    /// `refused` from there to a refusal.
    fn tell(&self, mut key: S::Key, refused: bool) -> Vec<Op> {
        let mut path = vec![key];
        while key != S::Key::default() {
            let link = lock(&self.table[shard_of(key)]).link(key);
            key = self.space.before(key, link.expect("every state was reached from one in the table"));
            path.push(key);
        }
        path.reverse();
        let mut scribe = Scribe::default();
        self.space.tell(&path, refused, &mut scribe);
        scribe.ops()
    }
}

/// An [`Engine`] without its type.
pub(super) trait Run: Send {
    fn run(&mut self, limits: Limits, report: &mut Report<'_>) -> Verdict;
    fn states(&self) -> u64;
    /// The highest end so far.
    fn reach(&self) -> u32;
    /// A shortest sequence to the highest end.
    fn highest(&self) -> Vec<Op>;
}

impl<S: Space> Run for Engine<S> {
    fn run(&mut self, limits: Limits, report: &mut Report<'_>) -> Verdict {
        self.limits = limits;
        let begun = Instant::now();
        let mut last = begun;
        let mut stopped = false;
        loop {
            let refused = *lock(&self.refused);
            if let Some(key) = refused {
                return Verdict::Breaks(self.tell(key, true));
            }
            if stopped {
                return Verdict::Stopped;
            }
            if self.memory() > limits.memory {
                return Verdict::OutOfMemory;
            }
            if lock(&self.now).is_empty() {
                std::mem::swap(&mut self.now, &mut self.next);
                if lock(&self.now).is_empty() {
                    return Verdict::Holds { reach: self.reach() };
                }
                self.depth += 1;
            }
            self.halt.store(false, Ordering::Relaxed);
            let engine = &*self;
            let helpers = limits.threads.min(lock(&self.now).len()).saturating_sub(1);
            thread::scope(|scope| {
                for _ in 0..helpers {
                    scope.spawn(|| engine.work(&mut || {}));
                }
                engine.work(&mut || {
                    if last.elapsed() >= PROGRESS_EVERY {
                        last = Instant::now();
                        if report(&engine.progress(begun)).is_break() {
                            stopped = true;
                            engine.halt.store(true, Ordering::Relaxed);
                        }
                    }
                });
            });
        }
    }

    fn states(&self) -> u64 {
        self.states.load(Ordering::Relaxed)
    }

    fn reach(&self) -> u32 {
        lock(&self.reach).0
    }

    fn highest(&self) -> Vec<Op> {
        let key = lock(&self.reach).1;
        self.tell(key, false)
    }
}
