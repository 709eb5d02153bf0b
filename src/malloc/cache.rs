//! The thread caches: for each thread, the slabs that it owns, and what other
//! threads sent back. May use: `classes`, `config`, `currents`, `empties`, `heaps`,
//! `lists`, `message`, `outbox`, `pace`, `process`, `region`, `remote`, `shared`, `slab`, `tables`,
//! `threads`, `platform`.
//!
//! A thread gets cells from, and frees them to, the slabs that it owns,
//! without locks. For each class one slab is *current*: the one that malloc takes
//! cells from. A slab in which other threads freed cells is in an *inbox* of its
//! owner's cache, of which there is one for each class: there it looks before it
//! takes anything new.
//!
//! Of the larger cells a slab has few. Those that were freed last are kept together, in a
//! *warm list* for each class, which malloc takes from first: see [`slab`](super::slab).
//!
//! No cell is given out that does not bear the mark of a free one, and none that
//! is in use does: whatever was freed twice, no block gets two owners.
//!
//! A cache outlives its thread. What its thread leaves behind goes to the
//! *shared* cache: other threads take slabs from there before they ask a heap,
//! and threads that have no cache any more, as in the destructors of others, use
//! it directly.

// A `Cell` is a cell of a slab here.
use core::cell::{Cell as Owned, UnsafeCell};
use core::ptr::{self, NonNull};

use super::classes::{CELL, CLASSES, SLAB, WARM};
use super::config::Config;
use super::currents::{self, Currents};
use super::empties::Empties;
use super::lists::Lists;
use super::message::fatal;
use super::outbox::Outbox;
use super::pace::Pace;
use super::region::Fresh;
use super::remote::{Cell, Inbox};
use super::slab::{FREED_TWICE, NO_SLAB, Slab, WARM_SLABS};
use super::tables::mark;
use super::{heaps, process, shared, threads};
use crate::platform::{self, PAGE};

/// How many free cells of a current slab are counted at most, when its thread ends or has
/// not used it for a while: all that one of large cells may have.
const COUNT: u32 = 64;
/// How many slabs of the shared cache a tick counts at most, where they have few free cells.
const TIDY: usize = 64;
/// How many slabs of an inbox one slow malloc looks at at most, so that its time has a
/// bound however many are there.
pub(super) const SORT: usize = 16;
/// How many warm lists are looked at before the cache grows, at most.
const WARM_LOOKS: usize = 4;
/// A refill in so many, a power of two, looks at one inbox, and at one slab in it, where
/// there are several threads.
const LOOKS: u32 = 4;
/// At how many inboxes the chores look where the clock has gone on.
const INBOXES: usize = 8;

/// A refill in so many does the chores at least: see [`Pace`]. A program whose slabs are
/// nearly empty has few refills.
const MOST_REFILLS: u32 = 32;
/// The same as long as there is one thread, which neither sends cells nor gets any back.
const MOST_REFILLS_ALONE: u32 = 128;
/// From this class on cells are so large, 1 KiB and more, that a slab has no more.
const LARGE: usize = 31;
const _: () = assert!(CELL[LARGE] == 1024 && SLAB / 1024 <= COUNT as usize);
/// A cache that has founded more slabs than this has no young ones: where some are
/// young and many old, the processor could not foretell which way free goes.
const CAREFUL: u32 = 32;
/// Of a class that has taken more slabs than this the next one will be used, so
/// that huge pages are worth their while there.
const DENSE: u8 = 2;
/// A class that has taken more slabs than this is growing.
const GROWING: u8 = 4;

/// A cache, but for what malloc uses at once, which is in [`currents`].
///
/// Invariant: a cache is one thread's, or nobody's, or, where it is the shared
/// one, belongs to whoever holds its lock. Others send to its inboxes.
#[repr(C, align(64))]
pub(super) struct Cache {
    pub lists: Lists,
    empties: Empties,
    /// For each class how many slabs it has taken from the heaps.
    taken: [Owned<u8>; CLASSES],
    /// How many slabs its thread has founded.
    founded: Owned<u32>,
    /// For the cells of how many slabs its warm lists have room: none in a pool, where the
    /// manager is to have all that is free.
    warm_slabs: Owned<u32>,
    /// The class whose warm list is looked at next before the cache grows.
    warm_cursor: Owned<usize>,
    /// How often refills do the chores, and when the next tick was due then.
    pace: Pace,
    due: Owned<u64>,
    /// For each class of large cells the first free one of the current slab, at the last
    /// tick.
    seen: [Owned<*const Cell>; CLASSES - LARGE],
    /// The next of those that wait for a thread.
    pub next: Owned<*const Cache>,
    /// For each class the inbox of its slabs, and a bit where it is open: not before the
    /// cache has such.
    inboxes: [Inbox; CLASSES],
    open: Owned<u128>,
    /// The inbox that the next chores look at first.
    cursor: Owned<usize>,
    outbox: UnsafeCell<Outbox>,
}

// SAFETY: see the invariant.
unsafe impl Sync for Cache {}

/// The cache of a thread that has not got one yet. It has no slabs, ever.
static NO_CACHE: Cache = Cache::EMPTY;
/// The cache of a thread whose own has gone: the same.
static NO_CACHE_ANY_MORE: Cache = Cache::EMPTY;

platform::define_slot!(NO_CACHE, CLASSES, NO_SLAB);

/// This thread's cache.
#[inline(always)]
pub(super) fn own() -> &'static Cache {
    // SAFETY: the slot leads to a place holder, or to what `adopt` put there;
    // caches are never given back.
    unsafe { &*platform::slot().cast() }
}

/// Gives the span of an empty slab back to its heap.
///
/// # Safety
/// The slab is the caller's, idle, and in no list.
pub(super) unsafe fn release(config: &Config, slab: *mut Slab) {
    // SAFETY: the caller's promise; nobody has a cell of it.
    let freed = unsafe {
        let span = Slab::dissolve(slab);
        heaps::free(config, span)
    };
    debug_assert!(freed.is_ok());
}

/// Gets a cell where nothing is to be done but to turn to another slab, as mostly; null
/// where there is more, also before the start.
///
/// # Safety
/// `class` is below `CLASSES`.
#[inline(always)]
pub(super) unsafe fn get_by_turn(class: usize) -> *mut u8 {
    let (cache, currents) = (own(), currents::own());
    // A place holder has chores to do, always.
    if cache.pace.is_due() || currents.has_free(class) || cache.is_to_look() {
        return ptr::null_mut();
    }
    // SAFETY: this thread's own; the caller's promise.
    unsafe {
        if !cache.turn(currents, class) {
            return ptr::null_mut();
        }
        cache.pace.count();
        currents.take(class)
    }
}

/// Gets a cell by the slow path: gives the thread a cache, or takes from the
/// shared one. Null where there is no memory.
///
/// # Safety
/// `class` is below `CLASSES`.
#[cold]
pub(super) unsafe fn get_slow(config: &Config, class: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the shared cache is used under its lock.
    unsafe {
        let cache = with_cache(config);
        if cache.is_none() {
            let (_lock, shared) = shared::lock();
            return shared.refill(config, class);
        }
        if cache.pace.is_due() {
            cache.do_chores(config)
        } else {
            if cache.is_to_look() {
                cache.look(config);
            }
            cache.pace.count()
        }
        cache.refill(config, class)
    }
}

/// This thread's cache, which it now gets if it had none yet; a place holder
/// where it can have none.
#[inline(always)]
pub(super) fn with_cache(config: &Config) -> &'static Cache {
    let cache = own();
    if ptr::eq(cache, &NO_CACHE) { adopt(config) } else { cache }
}

/// Gives this thread a cache: one that a thread left, or a new one. Without
/// memory for it, the place holder that it has.
#[cold]
#[inline(never)]
fn adopt(config: &Config) -> &'static Cache {
    let cache = match shared::take_idle() {
        Some(cache) => cache,
        None => {
            let Some(fresh) = heaps::get(config, size_of::<Cache>(), align_of::<Cache>(), false) else {
                // It may free others' cells all the same.
                threads::one_more();
                return &NO_CACHE;
            };
            let cache: *mut Cache = fresh.block.as_ptr().cast();
            // SAFETY: a new block, large and aligned enough, that never goes back.
            unsafe {
                cache.write(Cache::EMPTY);
                &*cache
            }
        }
    };
    cache.warm_slabs.set(if config.pool == 0 { WARM_SLABS } else { 0 });
    // First the slot, as the rest may call malloc.
    platform::set_slot(cache.place());
    process::thread_starts(cache.place().cast());
    cache
}

/// Ends a thread's cache: its slabs go to the shared one, and it waits for
/// another thread. From then on this thread uses the shared cache.
///
/// # Safety
/// `cache` is [`own`], given by `adopt`.
pub(super) unsafe fn leave(config: &Config, cache: &'static Cache) {
    // SAFETY: the cache and its slabs are this thread's.
    unsafe {
        platform::set_slot(NO_CACHE_ANY_MORE.place());
        (*cache.outbox()).send();
        cache.receive_all(config);
        for class in cache.classes() {
            // Small cells that went cold are not looked at; in a pool no tick would.
            cache.put_aside(config, class, if class < LARGE && config.pool == 0 { 0 } else { COUNT });
        }
        cache.release_empties(config);
        shared::take_over(cache);
        cache.founded.set(0);
        cache.close_inboxes();
        shared::keep_idle(cache);
    }
}

/// Takes what others freed, and gives back the spans of empty slabs: of this
/// thread's, and of those that ended threads left.
pub(super) fn trim(config: &Config) {
    let cache = own();
    // SAFETY: the cache and its slabs are this thread's; the shared one is used
    // under its lock.
    unsafe {
        if !cache.is_none() {
            (*cache.outbox()).send();
            cache.receive_all(config);
            for class in cache.classes() {
                cache.put_aside(config, class, u32::MAX);
            }
            cache.release_empties(config);
        }
        let (_lock, shared) = shared::lock();
        shared.receive_all(config);
    }
    shared::tidy(config, usize::MAX);
}

/// The bytes in free cells of this thread's own slabs.
pub(super) fn free_bytes() -> usize {
    let Cache { lists, empties, .. } = own();
    let mut bytes = 0;
    // SAFETY: the cache and its slabs are this thread's.
    unsafe {
        for current in currents::own().iter() {
            bytes += (current.unused() * current.cell()) as usize;
        }
        for class in 0..CLASSES {
            for slab in lists.partial(class) {
                bytes += (((*slab).capacity() - (*slab).used()) * (*slab).cell()) as usize;
            }
        }
        for slab in empties.iter() {
            bytes += ((*slab).capacity() * (*slab).cell()) as usize;
        }
    }
    bytes
}

/// The places of the bits that are set.
fn bits(mut word: u128) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// What the unsafe functions here ask for: the cache is the caller's.
impl Cache {
    // What a cache is written from, not what many share.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const EMPTY: Cache = Cache {
        lists: Lists::EMPTY,
        empties: Empties::EMPTY,
        taken: [const { Owned::new(0) }; CLASSES],
        founded: Owned::new(0),
        warm_slabs: Owned::new(0),
        warm_cursor: Owned::new(WARM),
        pace: Pace::START,
        due: Owned::new(0),
        seen: [const { Owned::new(ptr::null()) }; CLASSES - LARGE],
        next: Owned::new(ptr::null()),
        inboxes: [const { Inbox::EMPTY }; CLASSES],
        open: Owned::new(0),
        cursor: Owned::new(0),
        outbox: UnsafeCell::new(Outbox::EMPTY),
    };

    /// What the owner of a slab is known by.
    #[inline(always)]
    pub fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// What the thread's slot holds.
    fn place(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Its current slabs: a cache is used by its own thread only, but for the shared
    /// one.
    fn currents(&self) -> &'static Currents {
        if shared::is_shared(self) { shared::currents() } else { currents::own() }
    }

    /// Whether this is only a place holder.
    pub fn is_none(&self) -> bool {
        ptr::eq(self, &NO_CACHE) || ptr::eq(self, &NO_CACHE_ANY_MORE)
    }

    /// Makes the cache a slab's owner.
    ///
    /// # Safety
    /// The slab is the caller's, and in no list.
    pub unsafe fn claim(&'static self, slab: *mut Slab) {
        // SAFETY: the caller's promise; an inbox without a bit was closed, or never used.
        unsafe {
            let class = usize::from((*slab).class);
            let inbox = &self.inboxes[class];
            if self.open.get() >> class & 1 == 0 {
                inbox.open();
                self.open.set(self.open.get() | 1 << class);
            }
            (*slab).set_owner(self.address(), ptr::from_ref(inbox).cast_mut());
        }
    }

    /// Where its thread puts what it frees of others'.
    pub fn outbox(&self) -> *mut Outbox {
        self.outbox.get()
    }

    /// The classes of the slabs that it has or had since its thread began.
    pub fn classes(&self) -> impl Iterator<Item = usize> + use<> {
        bits(self.open.get())
    }

    /// Closes the inboxes that slabs had, as none has them any more.
    ///
    /// # Safety
    /// The cache is the caller's, without slabs, and all was received.
    unsafe fn close_inboxes(&self) {
        for class in bits(self.open.replace(0)) {
            // SAFETY: the caller's promise.
            unsafe { self.inboxes[class].close() };
        }
    }

    /// Makes another slab current of which the thread knows that it has cells, in place of
    /// one without free cells; false where there is none.
    ///
    /// # Safety
    /// The cache is the caller's and no place holder, and these are its current slabs.
    #[inline(always)]
    unsafe fn turn(&self, currents: &Currents, class: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let next = self.lists.take_partial(class);
            if !next.is_null() {
                // Of large cells the next slab's turn comes soon.
                if class >= LARGE
                    && let Some(after) = self.lists.partial(class).next()
                {
                    platform::prefetch((*after).first_free());
                }
                self.replace(currents, next);
            }
            !next.is_null()
        }
    }

    /// Makes a slab current in place of one without free cells.
    ///
    /// # Safety
    /// As [`Cache::turn`]; the slab is the caller's, has a cell that is not in use, and is
    /// in no list.
    #[inline(always)]
    unsafe fn replace(&self, currents: &Currents, next: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(last) = currents.of(usize::from((*next).class)) {
                last.put_aside_spent();
                self.lists.add(ptr::from_ref(last).cast_mut());
            }
            currents.set(next, self.founded.get() <= CAREFUL, self.warm_slabs.get());
        }
    }

    /// Gets a cell when none is at hand; null where there is no memory. What was
    /// freed comes before what was never used.
    ///
    /// # Safety
    /// The cache is the caller's and no place holder, and `class` below `CLASSES`.
    #[inline(never)]
    unsafe fn refill(&'static self, config: &Config, class: usize) -> *mut u8 {
        let currents = self.currents();
        // SAFETY: the caller's promise.
        unsafe {
            if !currents.has_free(class) && !self.turn(currents, class) {
                let next = self.find_cells(config, class);
                if !next.is_null() {
                    self.replace(currents, next);
                }
            }
            currents.take(class)
        }
    }

    /// Does now and then, from a refill, what is due: looks at the clock, gives back
    /// what nobody wanted, sends what is in the outbox, and [looks](Cache::look) at an inbox,
    /// or at some.
    ///
    /// # Safety
    /// The cache is the caller's.
    #[inline(never)]
    unsafe fn do_chores(&self, config: &Config) {
        let now = self.pace.look(if threads::are_many() { MOST_REFILLS } else { MOST_REFILLS_ALONE });
        heaps::tick(config, now);
        // SAFETY: the caller's promise.
        unsafe {
            let due = heaps::due();
            if self.due.replace(due) != due {
                self.put_unused_aside(config);
                self.release_empties(config);
                shared::tidy_once(config, TIDY, due);
            }
            if threads::are_many() {
                (*self.outbox()).send();
                let looks = if self.pace.went_on() { INBOXES } else { 1 };
                (0..looks).for_each(|_| self.look(config));
            }
        }
    }

    /// Whether a refill that has no chores to do is to [look](Cache::look).
    #[inline(always)]
    fn is_to_look(&self) -> bool {
        self.pace.is_one_in(LOOKS) && threads::are_many()
    }

    /// Looks at one inbox, and at one slab in it, as that may be empty.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn look(&self, config: &Config) {
        let class = self.cursor.get();
        self.cursor.set((class + 1) % CLASSES);
        // SAFETY: the caller's promise.
        unsafe {
            if self.inboxes[class].has_slabs() {
                self.sort(config, class, 1);
            }
        }
    }

    /// Finds cells of a class of which the thread knows none in its slabs: the slab
    /// that they are in; null where that is the current one, or there is no memory.
    /// What others freed in the current slab comes first, for which it need not go to the
    /// inbox.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn find_cells(&'static self, config: &Config, class: usize) -> *mut Slab {
        // SAFETY: the caller's promise.
        unsafe {
            let current = self.currents().of(class);
            if current.is_some_and(|current| current.collect_early()) {
                return ptr::null_mut();
            }
            self.sort(config, class, SORT);
            if self.currents().has_free(class) {
                return ptr::null_mut();
            }
            let slab = self.lists.take_partial(class);
            if !slab.is_null() {
                return slab;
            }
            if !shared::is_shared(self) {
                let empty = self.empties.take(class);
                let slab = if empty.is_null() { shared::take(config, class, self) } else { empty };
                if !slab.is_null() {
                    return slab;
                }
            }
            if current.is_some_and(|current| current.has_fresh()) {
                return ptr::null_mut();
            }
            self.new_slab(config, class)
        }
    }

    /// Founds a slab on the span of an empty one, or on one from a heap; null where
    /// there is none.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn new_slab(&'static self, config: &Config, class: usize) -> *mut Slab {
        let taken = self.taken[class].get().saturating_add(1);
        self.taken[class].set(taken);
        let growing = taken > GROWING;
        self.founded.set(self.founded.get().saturating_add(1));
        if self.founded.get() == CAREFUL + 1 {
            self.currents().iter().for_each(|slab| slab.entry().set_old());
        }
        let mut empty = self.empties.take_any(threads::are_many());
        if empty.is_null() {
            // SAFETY: the caller's promise.
            unsafe { self.scatter_some(config, class) };
            empty = self.empties.take_any(threads::are_many());
        }
        let fresh = if empty.is_null() {
            heaps::get(config, SLAB, SLAB, taken > DENSE)
        } else {
            // SAFETY: the caller's slab, in no list now.
            let span = NonNull::new(unsafe {
                self.check_apart(empty);
                Slab::dissolve(empty)
            });
            span.map(|block| Fresh { block, zero: false })
        };
        let Some(fresh) = fresh else { return ptr::null_mut() };
        // SAFETY: a new span, aligned to its size, of a region for slabs.
        unsafe {
            let slab = Slab::found(fresh.block.as_ptr(), class, fresh.zero);
            self.claim(slab);
            if growing && fresh.zero {
                // A class that grows will use the whole slab: one system call instead
                // of a fault for each page.
                platform::populate(fresh.block.as_ptr(), (*slab).bytes());
            } else if taken == 1 && !fresh.zero && config.pool == 0 && heaps::may_clean() {
                // Most first slabs of a class are their only ones, and hardly used:
                // what a former block left there goes back, but for the first cell.
                let first = ((*slab).cell() as usize).next_multiple_of(PAGE);
                platform::purge(fresh.block.as_ptr().byte_add(first), SLAB - first);
            }
            slab
        }
    }

    /// Looks after a slab whose countdown has come to 0.
    ///
    /// # Safety
    /// Cache and slab are the caller's.
    pub unsafe fn attend(&self, config: &Config, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            if (*slab).is_current() {
                debug_assert!(!(*slab).is_listed(), "the countdown of such a one is its room");
                return (*slab).rest();
            }
            (*slab).check_empty();
            if (*slab).is_full() {
                (*slab).set_partial((*slab).capacity() - 1);
                self.lists.no_longer_full(slab);
            } else if (*slab).is_idle() {
                self.lists.remove_partial(slab);
                self.retire(config, slab);
            }
        }
    }

    /// Keeps an empty slab, or gives its span back.
    ///
    /// # Safety
    /// Cache and slab are the caller's, and the slab is idle, and in no list.
    unsafe fn retire(&self, config: &Config, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            // In a pool the manager is to have all that is free.
            if shared::is_shared(self) || config.pool != 0 {
                return release(config, slab);
            }
            while self.empties.is_full(threads::are_many()) {
                self.release_empty(config, self.empties.take_oldest());
            }
            self.empties.keep(slab);
        }
    }

    /// Gives the spans of empty slabs back.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn release_empties(&self, config: &Config) {
        loop {
            let slab = self.empties.take_oldest();
            if slab.is_null() {
                return;
            }
            // SAFETY: the caller's promise.
            unsafe { self.release_empty(config, slab) };
        }
    }

    /// Gives the span of a slab back that it kept.
    ///
    /// # Safety
    /// Cache and slab are the caller's, and the slab is in no list.
    unsafe fn release_empty(&self, config: &Config, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            self.check_apart(slab);
            release(config, slab);
        }
    }

    /// Ends the process where a cell of an empty slab is on the warm list of its class: its
    /// slab did not count it when it was freed twice.
    ///
    /// # Safety
    /// Cache and slab are the caller's.
    unsafe fn check_apart(&self, empty: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            let class = usize::from((*empty).class);
            if class >= WARM
                && let Some(current) = self.currents().of(class)
            {
                current.check_apart(empty);
            }
        }
    }

    /// Whether no other thread has freed in its slabs of a class since the last look;
    /// anyone may ask.
    pub fn has_received_nothing(&self, class: usize) -> bool {
        self.inboxes[class].is_empty()
    }

    /// Looks at all slabs in which others freed: those that an earlier look left, and the
    /// others.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn receive_all(&self, config: &Config) {
        for class in self.classes() {
            // SAFETY: the caller's promise.
            unsafe {
                for _ in 0..2 {
                    if self.inboxes[class].has_slabs() {
                        self.sort(config, class, usize::MAX);
                    }
                }
            }
        }
    }

    /// Looks at no more than `most` slabs of a class's inbox: takes the cells that others
    /// freed in them. How many they were.
    ///
    /// # Safety
    /// The cache is the caller's.
    pub unsafe fn sort(&self, config: &Config, class: usize, most: usize) -> usize {
        let inbox = (&raw const self.inboxes[class]).cast_mut();
        // SAFETY: the caller's promise; what the inbox has received is the cache's.
        unsafe { Inbox::sort(inbox, most, |others| self.take_remote(config, Slab::of(others))) }
    }

    /// Adds a slab's remote cells to its free ones.
    ///
    /// # Safety
    /// Cache and slab are the caller's, and the slab was in its inbox.
    unsafe fn take_remote(&self, config: &Config, slab: *mut Slab) {
        // SAFETY: the caller's promise.
        unsafe {
            let was_full = (*slab).is_full();
            (*slab).collect();
            if was_full && !(*slab).is_full() {
                self.lists.no_longer_full(slab);
            }
            if !(*slab).is_current() && (*slab).is_idle() {
                self.lists.remove_partial(slab);
                self.retire(config, slab);
            }
        }
    }

    /// Looks at some classes' warm lists, in turn, but not at that of `class`: what they have
    /// of other slabs' cells may be all that keeps these from being empty.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn scatter_some(&self, config: &Config, class: usize) {
        for _ in 0..WARM_LOOKS {
            let next = self.warm_cursor.get();
            self.warm_cursor.set(if next + 1 == CLASSES { WARM } else { next + 1 });
            // SAFETY: the caller's promise.
            unsafe {
                if next != class
                    && self.currents().of(next).is_some_and(|current| current.has_others(self.warm_slabs.get()))
                {
                    return self.scatter(config, next);
                }
            }
        }
    }

    /// Frees what a class's warm list has of other slabs' cells in these.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn scatter(&self, config: &Config, class: usize) {
        let Some(current) = self.currents().of(class) else { return };
        // SAFETY: the caller's promise; in a warm list is what the cache's slabs have.
        unsafe {
            current.take_all(self.warm_slabs.get(), |cell, slab| {
                if !slab.entry().is_listed_in(self.address()) {
                    fatal("free", FREED_TWICE, cell.cast());
                } else if ptr::eq(slab, current) {
                    slab.push(cell, mark());
                } else if !slab.free(cell, mark()) {
                    self.attend(config, ptr::from_ref(slab).cast_mut());
                }
            });
        }
    }

    /// Ends the being current of slabs of large cells of which none has come or gone since
    /// the last tick: of a size that the program wanted for a while.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn put_unused_aside(&self, config: &Config) {
        for (class, seen) in (LARGE..).zip(&self.seen) {
            let first = self.currents().of(class).map_or(ptr::null(), |slab| slab.first_free());
            if seen.replace(first) == first && !first.is_null() {
                // SAFETY: the caller's promise.
                unsafe { self.put_aside(config, class, COUNT) };
            }
        }
    }

    /// Ends the being current of a class's slab, if there is one, once its warm list is sent
    /// home, and gives its span back if it is empty and has no more than `most` free cells.
    ///
    /// # Safety
    /// The cache is the caller's.
    unsafe fn put_aside(&self, config: &Config, class: usize, most: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            if class >= WARM {
                self.scatter(config, class);
            }
            let slab = self.currents().put_aside(class, most);
            if slab.is_null() {
                return;
            }
            if (*slab).is_idle() {
                release(config, slab);
            } else {
                self.lists.add(slab);
            }
        }
    }
}
