//! Theorems as functions: how large a pool must be so that a request within a
//! profile is never refused. Integers only, every rounding to the safe side;
//! `no_std`, no allocation, and nearly all of it `const`. May use: the sizes of
//! the managers' tables.
//!
//! # The model
//!
//! Blocks never move. A *granule* is the unit of placement; a block's *gross*
//! size is the granules that it occupies: its bytes rounded up for first fit,
//! and then up to a power of two for the buddy system. First fit in address
//! order and the leftmost buddy system place a block independently of what lies
//! behind it, so up to its first refusal a pool behaves like an unbounded one:
//! the least sufficient pool is the highest end that any block ever reaches, and
//! more pool never hurts.
//!
//! The adversary of every theorem has a *budget*: the bytes that may be live at
//! once. A block of a gross size costs it the fewest bytes that round up to
//! that size, which makes the bounds tighter than charging gross sizes against
//! a gross budget.
//!
//! # For which calls they hold
//!
//! Get and free, in any order, by any number of threads, as long as at most the
//! stated bytes (and blocks, where counts are given) are live, the request that
//! is being served included. Not covered, and to be charged by the caller:
//!
//! - an extend that moves holds both blocks at once: count both. In place,
//!   growing is covered only while the block ends within what its new size
//!   could have reached; shrinking leaves a small block high up and is not
//!   covered;
//! - a get at a multiple of `align`, more than 16, from first fit counts as one
//!   of `size + align - 16` bytes;
//! - what a cache before the manager holds back counts as live.

use crate::heap::{ALIGNMENT, Buddy, Ebuddy, Ffit, MAX_GRANULES};

/// No limit on a count or on the live bytes.
pub const UNLIMITED: usize = usize::MAX;

/// Sizes of requests, and how many blocks of them are live at once: one line of
/// a profile. A profile is a slice of these, in any order; ranges that overlap
/// (also after rounding up to gross sizes) are merged and their counts added,
/// which is safe but looser than disjoint ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SizeRange {
    /// The smallest size, in bytes; 0 means 1.
    pub min: usize,
    /// The largest size, in bytes.
    pub max: usize,
    /// The most blocks of these sizes at once, or [`UNLIMITED`].
    pub count: usize,
}

impl SizeRange {
    /// Any number of blocks of `min` to `max` bytes.
    pub const fn any(min: usize, max: usize) -> Self {
        SizeRange { min, max, count: UNLIMITED }
    }

    /// At most `count` blocks of exactly `size` bytes.
    pub const fn at_most(count: usize, size: usize) -> Self {
        SizeRange { min: size, max: size, count }
    }
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

const fn max(a: u64, b: u64) -> u64 {
    if a > b { a } else { b }
}

const fn min_wide(a: u128, b: u128) -> u128 {
    if a < b { a } else { b }
}

/// The smallest order whose blocks hold `granules`.
const fn order_of(granules: u64) -> u32 {
    if granules <= 1 { 0 } else { u64::BITS - (granules - 1).leading_zeros() }
}

// ---------------------------------------------------------------------------
// Profiles
// ---------------------------------------------------------------------------

/// Disjoint ranges that a profile is kept as; neighbours are merged beyond it.
const MAX_GROUPS: usize = 64;

/// How a request is rounded up.
#[derive(Clone, Copy)]
enum Rounding {
    /// To whole granules.
    Granules,
    /// To a power of two of granules.
    Orders,
}

/// The gross size as a number that grows with it: granules, or the order.
const fn rank(bytes: u64, granule: u64, rounding: Rounding) -> u64 {
    let granules = bytes.div_ceil(granule);
    match rounding {
        Rounding::Granules => granules,
        Rounding::Orders => order_of(granules) as u64,
    }
}

#[derive(Clone, Copy)]
struct Group {
    min: u64,
    max: u64,
    count: u64,
}

/// A profile with its ranges sorted and disjoint in gross sizes, and the most
/// bytes that can be live under it.
struct Groups {
    list: [Group; MAX_GROUPS],
    len: usize,
    budget: u64,
}

impl Groups {
    /// `None` where a range ends before it starts.
    const fn new(profile: &[SizeRange], max_live: usize, granule: u64, rounding: Rounding) -> Option<Self> {
        let nothing = Group { min: 0, max: 0, count: 0 };
        let mut groups = Groups { list: [nothing; MAX_GROUPS], len: 0, budget: 0 };
        let mut most: u64 = 0;
        let mut entry = 0;
        while entry < profile.len() {
            let range = profile[entry];
            entry += 1;
            if range.max < range.min {
                return None;
            }
            let group = Group {
                min: max(range.min as u64, 1),
                // A block larger than all that may be live never is.
                max: min(range.max as u64, max_live as u64),
                count: if range.count == UNLIMITED { u64::MAX } else { range.count as u64 },
            };
            if group.max < group.min || group.count == 0 {
                continue;
            }
            most = most.saturating_add(group.count.saturating_mul(group.max));
            groups.insert(group, granule, rounding);
        }
        groups.budget = min(max_live as u64, most);
        Some(groups)
    }

    const fn insert(&mut self, mut new: Group, granule: u64, rounding: Rounding) {
        let mut at = 0;
        while at < self.len {
            let old = self.list[at];
            let before = rank(old.max, granule, rounding) < rank(new.min, granule, rounding);
            let behind = rank(new.max, granule, rounding) < rank(old.min, granule, rounding);
            let full_here = self.len == MAX_GROUPS && (behind || at + 1 == self.len);
            if full_here || !(before || behind) {
                new = Group {
                    min: min(old.min, new.min),
                    max: max(old.max, new.max),
                    count: old.count.saturating_add(new.count),
                };
                self.len -= 1;
                let mut i = at;
                while i < self.len {
                    self.list[i] = self.list[i + 1];
                    i += 1;
                }
                at = 0;
            } else if behind {
                break;
            } else {
                at += 1;
            }
        }
        let mut i = self.len;
        while i > at {
            self.list[i] = self.list[i - 1];
            i -= 1;
        }
        self.list[at] = new;
        self.len += 1;
    }
}

// ---------------------------------------------------------------------------
// T1: first fit
// ---------------------------------------------------------------------------

/// Classes of gross sizes that a bound in bytes works with. More are tighter
/// (with a class for each size: by under 2 %) and take time with the square.
const CLASSES: usize = 192;

/// Of them where the stack may be small: up to 5 % less tight.
const FEW_CLASSES: usize = 64;

/// Gross sizes `low..=high`, of which no block costs less than `weight` bytes.
#[derive(Clone, Copy)]
struct Class {
    low: u64,
    high: u64,
    weight: u64,
    group: usize,
}

struct Classes<const K: usize> {
    list: [Class; K],
    len: usize,
}

/// The width of the class that begins at `low`: a 2^-`fineness` part of it.
const fn width(low: u64, fineness: u32) -> u64 {
    max(1, low >> fineness)
}

impl<const K: usize> Classes<K> {
    /// Cuts the groups into at most `K` classes, as narrow as that allows;
    /// lengths are divided by their greatest common divisor, which is returned.
    const fn new(groups: &Groups, granule: u64) -> (Self, u64) {
        let nothing = Class { low: 0, high: 0, weight: 0, group: 0 };
        let mut classes = Classes { list: [nothing; K], len: 0 };
        let mut fineness = 63;
        while fineness > 0 && !classes.cut(groups, granule, fineness) {
            fineness -= 1;
        }
        if fineness == 0 {
            // At most 64 groups of 64 octaves: one class for each group.
            classes.cut(groups, granule, 0);
        }
        let mut divisor = 0;
        let mut i = 0;
        while i < classes.len {
            let class = classes.list[i];
            divisor = gcd(divisor, class.low);
            divisor = gcd(divisor, class.high);
            if class.low != class.high {
                divisor = 1;
            }
            i += 1;
        }
        let mut i = 0;
        while i < classes.len {
            classes.list[i].low /= divisor;
            classes.list[i].high /= divisor;
            i += 1;
        }
        (classes, divisor)
    }

    /// `false` where the classes of this fineness are more than `K`. Fineness
    /// 0 makes a whole group one class.
    const fn cut(&mut self, groups: &Groups, granule: u64, fineness: u32) -> bool {
        self.len = 0;
        let mut g = 0;
        while g < groups.len {
            let group = groups.list[g];
            let last = group.max.div_ceil(granule);
            let mut low = group.min.div_ceil(granule);
            while low <= last {
                if self.len == K {
                    return false;
                }
                let high = if fineness == 0 { last } else { min(last, low + width(low, fineness) - 1) };
                self.list[self.len] = Class { low, high, weight: max(group.min, (low - 1) * granule + 1), group: g };
                self.len += 1;
                low = high + 1;
            }
            g += 1;
        }
        true
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Beyond 64 PiB live no bound is given, and the arithmetic below cannot wrap.
const MAX_BUDGET: u64 = 1 << 56;

/// Fractional bits of a price.
const FRACTION: u32 = 48;

const fn first_fit_extent<const K: usize>(groups: &Groups, granule: u64) -> Option<u64> {
    if groups.len == 0 {
        return Some(0);
    }
    let budget = groups.budget;
    if budget > MAX_BUDGET {
        return None;
    }
    let (classes, divisor) = Classes::<K>::new(groups, granule);
    // reach[i]: no block of the classes up to i ever ends behind it.
    let mut reach = [0u64; K];
    let mut price = [0u128; K];
    let mut i = 0;
    while i < classes.len {
        let placed = classes.list[i];
        let before = if i == 0 { 0 } else { reach[i - 1] };
        reach[i] = before;
        if placed.weight > budget {
            i += 1;
            continue;
        }
        let hole = placed.high - 1;

        // The price of a granule of a segment, made to grow with the class.
        let mut j = classes.len;
        let mut least = u128::MAX;
        while j > 0 {
            j -= 1;
            let class = classes.list[j];
            let exact = ((class.weight as u128) << FRACTION) / (class.low + hole) as u128;
            least = min_wide(least, exact);
            price[j] = least;
        }
        if price[0] == 0 {
            return None;
        }

        let mut left = ((budget - placed.weight) as u128) << FRACTION;
        let mut filled: u64 = 0;
        let mut group = usize::MAX;
        let mut blocks = 0;
        let mut group_room: u64 = 0;
        let mut j = 0;
        while j < classes.len {
            let class = classes.list[j];
            if class.group != group {
                group = class.group;
                let all = groups.list[group];
                blocks = all.count;
                if group == placed.group && blocks != u64::MAX {
                    blocks -= 1;
                }
                let longest = all.max.div_ceil(granule) / divisor + hole;
                group_room = blocks.saturating_mul(longest);
            }
            let affordable = (budget - placed.weight) / class.weight;
            let mut room = min(blocks, affordable).saturating_mul(class.high + hole);
            room = min(room, group_room);
            if j < i {
                room = min(room, reach[j].saturating_sub(filled));
            }
            let payable = left / price[j];
            let take = if payable < room as u128 { payable as u64 } else { room };
            left -= take as u128 * price[j];
            group_room -= take;
            filled = match filled.checked_add(take) {
                Some(sum) => sum,
                None => return None,
            };
            if take as u128 == payable {
                break;
            }
            j += 1;
        }
        reach[i] = match filled.checked_add(placed.high) {
            Some(end) => max(before, end),
            None => return None,
        };
        i += 1;
    }
    reach[classes.len - 1].checked_mul(divisor)
}

/// T1: the granules that are enough for address-ordered first fit, for blocks
/// of the sizes and counts in `profile` (bytes) with at most `max_live` bytes
/// ([`UNLIMITED`] where only the counts say it) live at once. With `granule` 1
/// it is the theorem in its own units.
///
/// `None` where a range ends before it starts, or where the bound does not fit.
/// Takes time with the square of the number of classes of sizes, at most 192.
///
/// # Proof
///
/// Let classes of gross sizes be `low_j..=high_j`, let no block of class j cost
/// less than `w_j`, and let `X_j` be the highest end that a block of the classes
/// up to j ever reaches. When a block of class i is placed at x, every hole left
/// of x is at most `h = high_i - 1` long, else it would have been taken. No two
/// holes touch, and x is either at the start of a hole or x = 0, so `[0, x)` is
/// tiled by segments, each a hole (or none) and the live block behind it. A
/// segment whose block is of class j and t granules long is at most `t + h`
/// long and costs at least `w_j`, so a granule of it costs at least
/// `w_j / (low_j + h)`; and it ends at or before `X_j`. With `T_j` the total
/// length of the segments of class j,
///
/// ```text
///   T_1 + ... + T_j              <= X_j           for j < i
///   sum T_j w_j / (low_j + h)    <= budget - w_i
///   T_j                          <= (blocks of class j, without the one placed) (high_j + h)
///   sum of T_j over a range      <= (its count, without the one placed) (its largest + h)
/// ```
///
/// x = sum T_j is largest when one fills from j = 1 upwards: prices grow with j
/// (where rounding makes them fall they are replaced by the least of those
/// behind, which only helps the adversary). For let T be optimal and differ from
/// the greedy filling first at e, where it holds less. If it holds anything
/// behind e, first at f, then the constraints that e adds to those of f are the
/// prefixes e..f-1, which are no fuller than the greedy filling's first e
/// classes, and, where f is of another range, e's range: both have room. So some
/// of f can be moved to e at no higher cost. Hence `X_i = max(X_{i-1}, x + high_i)`.
///
/// Source: the tiling argument sharpens the bound of Knuth, TAOCP vol. 1,
/// 2.5, exercise 43 (after Robson 1977); the linear program is this project's.
pub const fn first_fit_granules(profile: &[SizeRange], max_live: usize, granule: usize) -> Option<u64> {
    first_fit_in_classes::<CLASSES>(profile, max_live, granule as u64)
}

const fn first_fit_in_classes<const K: usize>(profile: &[SizeRange], max_live: usize, granule: u64) -> Option<u64> {
    match Groups::new(profile, max_live, granule, Rounding::Granules) {
        Some(groups) => first_fit_extent::<K>(&groups, granule),
        None => None,
    }
}

// ---------------------------------------------------------------------------
// T2: the leftmost buddy system
// ---------------------------------------------------------------------------

/// Orders that there can be: blocks of up to 2^63 granules.
const ORDERS: usize = 64;

/// The least bytes that make a request of `order` in a group.
const fn order_weight(group: Group, granule: u64, order: u32) -> u64 {
    if order == 0 { group.min } else { max(group.min, (granule << (order - 1)) + 1) }
}

/// Fractional bits of a window's price: it is at least half a byte.
const PRICE_BITS: u32 = 7;

/// How many of the windows of order `k` from address 0 on can hold a live block
/// at once, if that may cost `left` bytes and `placed` is the group of a block
/// that is not among them.
const fn occupied_windows(
    groups: &Groups,
    granule: u64,
    reach: &[u64; ORDERS],
    k: u32,
    placed: usize,
    mut left: u64,
) -> u64 {
    let mut windows: u64 = 0;
    // By blocks smaller than a window: cheapest first, each where it reaches.
    let mut g = 0;
    while g < groups.len {
        let group = groups.list[g];
        let last = order_of(group.max.div_ceil(granule));
        let mut blocks = group.count;
        if g == placed && blocks != u64::MAX {
            blocks -= 1;
        }
        let mut order = order_of(group.min.div_ceil(granule));
        while order <= last && order < k {
            let weight = order_weight(group, granule, order);
            let reached = reach[order as usize].div_ceil(1 << k);
            let take = min(min(blocks, left / weight), reached.saturating_sub(windows));
            blocks -= take;
            left -= take * weight;
            windows += take;
            order += 1;
        }
        g += 1;
    }
    // By blocks of a window or more, each of which fills 2^(order - k): those
    // with the cheapest windows first.
    let mut prices = [u64::MAX; MAX_GROUPS];
    let mut g = 0;
    while g < groups.len {
        let group = groups.list[g];
        let last = order_of(group.max.div_ceil(granule));
        let mut order = max(order_of(group.min.div_ceil(granule)) as u64, k as u64) as u32;
        while order <= last {
            let weight = order_weight(group, granule, order) << PRICE_BITS;
            prices[g] = min(prices[g], weight >> (order - k));
            order += 1;
        }
        g += 1;
    }
    left <<= PRICE_BITS;
    loop {
        let mut cheapest = 0;
        let mut g = 1;
        while g < groups.len {
            if prices[g] < prices[cheapest] {
                cheapest = g;
            }
            g += 1;
        }
        let price = prices[cheapest];
        if price > left {
            return windows;
        }
        prices[cheapest] = u64::MAX;
        let group = groups.list[cheapest];
        let last = order_of(group.max.div_ceil(granule));
        let mut blocks = group.count;
        if cheapest == placed && blocks != u64::MAX {
            blocks -= 1;
        }
        let take = min(blocks.saturating_mul(1 << (last - k)), left / price);
        left -= take * price;
        windows = windows.saturating_add(take);
    }
}

/// By order, the highest end that a block of an order up to it ever reaches.
const fn buddy_reach(groups: &Groups, granule: u64) -> Option<[u64; ORDERS]> {
    let budget = groups.budget;
    if budget > MAX_BUDGET {
        return None;
    }
    let mut reach = [0u64; ORDERS];
    let mut highest = 0;
    let mut k = 0;
    let mut g = 0;
    while g < groups.len {
        let group = groups.list[g];
        let last = order_of(group.max.div_ceil(granule));
        let mut order = order_of(group.min.div_ceil(granule));
        while k < order {
            reach[k as usize] = highest;
            k += 1;
        }
        while order <= last {
            let weight = order_weight(group, granule, order);
            if weight <= budget {
                let left = budget - weight;
                let windows = occupied_windows(groups, granule, &reach, order, g, left);
                highest = match windows.saturating_add(1).checked_mul(1 << order) {
                    Some(end) => max(highest, end),
                    None => return None,
                };
            }
            reach[order as usize] = highest;
            order += 1;
        }
        k = order;
        g += 1;
    }
    while (k as usize) < ORDERS {
        reach[k as usize] = highest;
        k += 1;
    }
    Some(reach)
}

/// T2: the granules that are enough for the leftmost buddy system, arguments
/// and failures as for [`first_fit_granules`]. Any pool of at least so many
/// granules will do, a power of two or not. Time grows with the cube of the
/// number of orders at worst.
///
/// For sizes that are powers of two, M granules live and M a multiple of the
/// largest, 2^r, it is at most M(1 + r/2) rounded down to a multiple of 2^r, and
/// that exactly where M is at least r 2^r: to within 2^r - 1 what *any* allocator
/// needs ([`robson_granules`]).
///
/// # Proof
///
/// A block of order k goes to the lowest aligned free window, so every aligned
/// window of 2^k granules left of it holds a live block or part of one. Let
/// `X_j` be the highest end of a block of an order up to j. The window at a
/// holds a block of order j < k only if `a < X_j`; otherwise it lies in a block
/// of order q >= k, which fills 2^(q-k) windows. So with `n_j` blocks of order
/// j < k counted, one for each window,
///
/// ```text
///   n_0 + ... + n_j <= ceil(X_j / 2^k)     (windows that start below X_j)
///   n_j <= blocks of order j;   sum n_j w_j + (price of the rest) <= budget - w_k
/// ```
///
/// and the block is placed at the end of at most sum n_j + (the rest) windows.
/// Costs grow with j and the first constraints are nested, so filling from
/// j = 0 upwards is the cheapest way to any number of windows. The windows do
/// not depend on where the pool ends: in a pool of `X_r` granules the lowest
/// window of the unbounded one exists.
pub const fn leftmost_buddy_granules(profile: &[SizeRange], max_live: usize, granule: usize) -> Option<u64> {
    match Groups::new(profile, max_live, granule as u64, Rounding::Orders) {
        Some(groups) => match buddy_reach(&groups, granule as u64) {
            Some(reach) => Some(reach[ORDERS - 1]),
            None => None,
        },
        None => None,
    }
}

/// T3: the granules that are enough for the buddy system that takes a block of
/// the smallest sufficient order, whichever of them (Knuth's Algorithm R), for
/// at most `live` granules at once in blocks of orders 0 to `order`. `None`
/// where it does not fit.
///
/// # Proof
///
/// A node of size 2^(k+1) is split only when no block of order k is free. Right
/// after, of the 2S children of all S split nodes of that size, one is free; the
/// others are split, at most `S_k` of them, or allocated. A split node holds a
/// live granule, so at most (live - s)/2^k are allocated when s are split, and
/// s + floor((live - s)/2^k) grows with s:
///
/// ```text
///   S_0 = 0     2 S_{k+1} - 1 <= S_k + floor((live - S_k) / 2^k)
/// ```
///
/// and a new root is opened only when every other is split or allocated, so
/// that there are never more than S_r + floor((live - S_r)/2^r) roots.
pub const fn any_buddy_granules(live: u64, order: u32) -> Option<u64> {
    if order >= u64::BITS {
        return None;
    }
    let mut split: u64 = 0;
    let mut k = 0;
    while k < order {
        split = (split + ((live - split) >> k)).div_ceil(2);
        k += 1;
    }
    (split + ((live - split) >> order)).checked_mul(1 << order)
}

/// [`any_buddy_granules`] for a profile, arguments and failures as for
/// [`first_fit_granules`]: no block occupies more for its bytes than the one that
/// is rounded up most.
pub const fn any_buddy_profile_granules(profile: &[SizeRange], max_live: usize, granule: usize) -> Option<u64> {
    let Some(groups) = Groups::new(profile, max_live, granule as u64, Rounding::Orders) else {
        return None;
    };
    if groups.budget > MAX_BUDGET {
        return None;
    }
    let (mut gross, mut last) = (0, 0);
    let mut g = 0;
    while g < groups.len {
        let group = groups.list[g];
        last = order_of(group.max.div_ceil(granule as u64));
        let mut order = order_of(group.min.div_ceil(granule as u64));
        while order <= last {
            let occupied = ((groups.budget as u128) << order) / order_weight(group, granule as u64, order) as u128;
            gross = max(gross, min_wide(occupied, u64::MAX as u128) as u64);
            order += 1;
        }
        g += 1;
    }
    any_buddy_granules(gross, last)
}

// ---------------------------------------------------------------------------
// T4: ebuddy
// ---------------------------------------------------------------------------

/// T4: the granules that are enough for an ebuddy heap, both parts together,
/// arguments and failures as for [`first_fit_granules`], which it calls up to 64
/// times.
///
/// # Proof
///
/// No request is refused where one of the parts alone is enough. Else the
/// emergency heap is asked only while every window of some order in the buddy part
/// is spoiled. With m the least bytes that spoil all windows of an order there,
/// what lives in the emergency heap was at most `max_live - m` when its last
/// block was placed, so it is enough that it suffices for that. In the worst
/// case the buddy system alone needs less: what ebuddy gives is graceful degradation.
pub fn ebuddy_granules(profile: &[SizeRange], max_live: usize, granule: usize) -> Option<u64> {
    let buddy = leftmost_buddy_granules(profile, max_live, granule);
    let ffit = first_fit_granules(profile, max_live, granule);
    let suffices = |granules: usize| {
        let (main, emergency) = Ebuddy::shares(granules);
        let enough = |need: Option<u64>, part: usize| need.is_some_and(|need| need <= part as u64);
        enough(buddy, main)
            || enough(ffit, emergency)
            || emergency_live(profile, max_live, granule, main as u64)
                .is_some_and(|live| enough(first_fit_granules(profile, live, granule), emergency))
    };
    buddy.or(ffit)?;
    least_sufficient(1, suffices).map(|granules| granules as u64)
}

/// A number from `from` on that `suffices`, and of which the one before does not;
/// `None` where it does not fit.
fn least_sufficient(from: usize, suffices: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut too_small, mut enough) = (from - 1, from);
    while !suffices(enough) {
        too_small = enough;
        enough = enough.checked_mul(2)?;
    }
    while enough - too_small > 1 {
        let middle = too_small + (enough - too_small) / 2;
        if suffices(middle) { enough = middle } else { too_small = middle }
    }
    Some(enough)
}

/// The most bytes that may be live in the emergency heap while it is asked, if
/// the buddy part has `main` granules; `None` where it is never asked.
fn emergency_live(profile: &[SizeRange], max_live: usize, granule: usize, main: u64) -> Option<usize> {
    let granule = granule as u64;
    let groups = Groups::new(profile, max_live, granule, Rounding::Orders)?;
    let reach = buddy_reach(&groups, granule)?;
    let orders = |group: &Group| order_of(group.min.div_ceil(granule))..=order_of(group.max.div_ceil(granule));
    // The fewest bytes that leave no window of an order free.
    let spoiling = |order: u32| {
        let windows = main.checked_shr(order).unwrap_or(0);
        let occupied = |live| occupied_windows(&groups, granule, &reach, order, usize::MAX, live);
        if occupied(groups.budget) < windows {
            return None;
        }
        let (mut too_little, mut live) = (0, groups.budget);
        while windows > 0 && live - too_little > 1 {
            let middle = too_little + (live - too_little) / 2;
            if occupied(middle) >= windows { live = middle } else { too_little = middle }
        }
        Some(if windows == 0 { 0 } else { live })
    };
    let spoiled = groups.list[..groups.len].iter().flat_map(orders).filter_map(spoiling).min();
    spoiled.map(|spoiled| (groups.budget - spoiled) as usize)
}

// ---------------------------------------------------------------------------
// What others are known to need
// ---------------------------------------------------------------------------

/// Robson's lower bound: in fewer granules than this every allocator that does
/// not move blocks can be made to refuse, with at most `live` granules live in
/// blocks of powers of two up to `largest` (rounded down to one).
///
/// M(1 + log2(n)/2) - n + 1 with M the multiples of n in `live`, or the same
/// for a smaller n where that says more. Saturates.
///
/// Source: Robson, "Bounds for some functions concerning dynamic storage
/// allocation", JACM 21 (1974). `robson::attack` is the proof as a program.
pub const fn robson_granules(live: u64, largest: u64) -> u64 {
    let mut best = live;
    let mut order = 0;
    while order < u64::BITS && (1u64 << order) <= min(largest, live) {
        let n = 1u64 << order;
        let whole = live / n * n;
        let need = whole.saturating_add(whole.saturating_mul(order as u64) / 2).saturating_sub(n - 1);
        best = max(best, need);
        order += 1;
    }
    best
}

/// Knuth's bound for address-ordered first fit: M H_n / ln 2 granules, rounded
/// up, for `live` = M and blocks of 1 to `largest` = n granules. `None` where it
/// does not fit. Exact harmonic numbers to 4096, beyond at most 0.02 % more.
///
/// Source: Knuth, TAOCP vol. 1, 2.5, exercise 43. [`first_fit_granules`] is
/// smaller, by about 0.4 M.
pub const fn knuth_first_fit_granules(live: u64, largest: u64) -> Option<u64> {
    // In units of 2^-32, all rounded up: ln 2, 1/ln 2, and H_2n < H_n + ln 2.
    const LN_2: u128 = 2_977_044_472;
    const INVERSE_LN_2: u128 = 6_196_328_019;
    let mut doublings = 0;
    while largest.div_ceil(1 << doublings) > 4096 {
        doublings += 1;
    }
    let mut harmonic = doublings as u128 * LN_2;
    let mut k: u128 = 1;
    while k <= largest.div_ceil(1 << doublings) as u128 {
        harmonic += (1u128 << 32).div_ceil(k);
        k += 1;
    }
    let factor = (harmonic * INVERSE_LN_2).div_ceil(1 << 32);
    match (live as u128).checked_mul(factor) {
        Some(product) => {
            let granules = product.div_ceil(1 << 32);
            if granules <= u64::MAX as u128 { Some(granules as u64) } else { None }
        }
        None => None,
    }
}

/// What is known of best fit, and of good fits like TLSF: an adversary gets them
/// to about M(n - 2) granules, for `live` = M and blocks of 1 to `largest` = n
/// granules. `None` where it does not fit.
///
/// For comparison, not a promise in either direction. Source: Robson, "Worst
/// case fragmentation of first fit and best fit storage allocation strategies",
/// Computer Journal 20 (1977).
pub const fn best_fit_granules(live: u64, largest: u64) -> Option<u64> {
    live.checked_mul(max(largest.saturating_sub(2), 1))
}

/// The capacity that o1heap's documentation asks for half fit: 2M(1 +
/// ceil(log2 n)) granules, headers counted in M and n. `None` where it does not fit.
///
/// For comparison: no proof of it has been published.
pub const fn half_fit_granules(live: u64, largest: u64) -> Option<u64> {
    live.checked_mul(2 * (1 + order_of(largest) as u64))
}

// ---------------------------------------------------------------------------
// In bytes
// ---------------------------------------------------------------------------

/// The managers that have a bound of their own.
#[derive(Clone, Copy)]
enum Heap {
    Ffit,
    Buddy,
}

/// The area that has `granules` granules wherever it starts.
const fn area_bytes(heap: Heap, granules: u64, shift: u32) -> Option<u64> {
    if granules > MAX_GRANULES as u64 {
        return None;
    }
    let granules = max(granules, 1);
    let tables = match heap {
        Heap::Ffit => Ffit::tables_bytes(granules as usize),
        Heap::Buddy => Buddy::tables_bytes(granules as usize),
    };
    let padding = (1 << shift) - 1;
    (granules << shift).checked_add(tables as u64 + padding)
}

const fn required_size(heap: Heap, profile: &[SizeRange], max_live: usize) -> Option<usize> {
    let most = MAX_GRANULES as u64;
    let mut shift = ALIGNMENT.trailing_zeros();
    while shift < usize::BITS {
        let granules = match heap {
            Heap::Ffit => first_fit_granules(profile, max_live, 1 << shift),
            Heap::Buddy => leftmost_buddy_granules(profile, max_live, 1 << shift),
        };
        let Some(granules) = granules else {
            return None;
        };
        match area_bytes(heap, granules, shift) {
            Some(bytes) if bytes >> shift <= most => {
                // Not so small that its granules would be smaller.
                let bytes =
                    if shift == ALIGNMENT.trailing_zeros() { bytes } else { max(bytes, (most + 1) << (shift - 1)) };
                return if bytes <= isize::MAX as u64 { Some(bytes as usize) } else { None };
            }
            // So large an area has larger granules.
            _ => shift += 1,
        }
    }
    None
}

/// Bytes of area with which an ffit heap never refuses a request, at any
/// alignment of the area, bookkeeping included, as long as no more than
/// `max_live` bytes are live at once in blocks of `min_block` to `max_block`
/// bytes, the request included. The [module](self) says for which calls.
///
/// `None` where `max_block < min_block`, and where the bound does not fit. A
/// small `min_block` costs dearly: every block is charged at least one granule.
/// Time as for [`first_fit_granules`], up to a few milliseconds; also at compile
/// time:
///
/// ```
/// # use memman::analysis::bounds::ffit_required_size;
/// static mut AREA: [u8; ffit_required_size(16 << 10, 1024, 32).unwrap()] =
///     [0; ffit_required_size(16 << 10, 1024, 32).unwrap()];
/// ```
pub const fn ffit_required_size(max_live: usize, max_block: usize, min_block: usize) -> Option<usize> {
    ffit_profile_size(&[SizeRange::any(min_block, max_block)], max_live)
}

/// As [`ffit_required_size`], for a profile: what is known of the sizes and of
/// the most blocks of each pays. `max_live` may be [`UNLIMITED`] where the
/// counts are not.
pub const fn ffit_profile_size(profile: &[SizeRange], max_live: usize) -> Option<usize> {
    required_size(Heap::Ffit, profile, max_live)
}

/// Bytes of area with which a buddy heap never refuses a request; otherwise as
/// [`ffit_required_size`], in microseconds.
pub const fn buddy_required_size(max_live: usize, max_block: usize, min_block: usize) -> Option<usize> {
    buddy_profile_size(&[SizeRange::any(min_block, max_block)], max_live)
}

/// As [`buddy_required_size`], for a profile.
pub const fn buddy_profile_size(profile: &[SizeRange], max_live: usize) -> Option<usize> {
    required_size(Heap::Buddy, profile, max_live)
}

/// The most bytes that may be live at once so that an ffit heap on `area` bytes
/// never refuses a block of `min_block` to `max_block` bytes: the inverse of
/// [`ffit_required_size`], and at least `max_block`, else 0. Takes up to 64
/// times as long.
pub const fn ffit_guaranteed_live(area: usize, max_block: usize, min_block: usize) -> usize {
    guaranteed_live(Heap::Ffit, &[SizeRange::any(min_block, max_block)], Room::Area(area), max_block)
}

/// The most bytes that may be live at once so that a buddy heap on `area` bytes
/// never refuses a block of `min_block` to `max_block` bytes: the inverse of
/// [`buddy_required_size`], and at least `max_block`, else 0.
pub const fn buddy_guaranteed_live(area: usize, max_block: usize, min_block: usize) -> usize {
    guaranteed_live(Heap::Buddy, &[SizeRange::any(min_block, max_block)], Room::Area(area), max_block)
}

/// The most granules that may be live at once so that first fit in `granules` of
/// them never refuses a block of `min_block` to `max_block` granules: the inverse
/// of [`first_fit_granules`] in its own units, up to 5 % less so that 8 KiB of
/// stack are enough, and at least `max_block`, else 0.
pub const fn first_fit_guaranteed_granules(granules: usize, max_block: usize, min_block: usize) -> usize {
    guaranteed_live(Heap::Ffit, &[SizeRange::any(min_block, max_block)], Room::Granules(granules), max_block)
}

/// The most granules that may be live at once so that the leftmost buddy system
/// in `granules` of them, the first `taken` of which have other uses for ever,
/// never refuses a block of `min_block` to `max_block` granules; every block
/// counts as the power of two that it is rounded up to. At least `max_block`
/// rounded up, else 0. Takes up to 64 times as long as
/// [`leftmost_buddy_granules`].
///
/// It is the inverse of T2 behind the first multiple of the largest block that
/// is not taken: windows are aligned from there as they are from 0, and what
/// lies before it only costs the adversary.
pub const fn buddy_guaranteed_granules(granules: usize, taken: usize, max_block: usize, min_block: usize) -> usize {
    let (first, last) = (order_of(min_block as u64), order_of(max_block as u64));
    if last >= usize::BITS - 1 || min_block > max_block {
        return 0;
    }
    let mut profile = [SizeRange::at_most(0, 1); ORDERS];
    let mut order = first;
    while order <= last {
        profile[order as usize] = SizeRange::any(1 << order, 1 << order);
        order += 1;
    }
    let largest = 1 << last;
    let behind = match taken.checked_next_multiple_of(largest) {
        Some(origin) => granules.saturating_sub(origin),
        None => 0,
    };
    guaranteed_live(Heap::Buddy, &profile, Room::Granules(behind), largest)
}

/// What live bytes, or granules, are to fit in.
#[derive(Clone, Copy)]
enum Room {
    /// Bytes of an area, tables included.
    Area(usize),
    /// Granules, which are then the unit of the profile.
    Granules(usize),
}

const fn guaranteed_live(heap: Heap, profile: &[SizeRange], room: Room, max_block: usize) -> usize {
    let mut enough = 0;
    let mut too_much = match room {
        Room::Area(size) | Room::Granules(size) => size.saturating_add(1),
    };
    while enough + 1 < too_much {
        let middle = enough + (too_much - enough) / 2;
        let fits = match room {
            Room::Area(size) => matches!(required_size(heap, profile, middle), Some(bytes) if bytes <= size),
            Room::Granules(size) => {
                let need = match heap {
                    Heap::Ffit => first_fit_in_classes::<FEW_CLASSES>(profile, middle, 1),
                    Heap::Buddy => leftmost_buddy_granules(profile, middle, 1),
                };
                matches!(need, Some(need) if need <= size as u64)
            }
        };
        if fits {
            enough = middle;
        } else {
            too_much = middle;
        }
    }
    if enough < max_block { 0 } else { enough }
}

/// Bytes of area with which an ebuddy heap never refuses a request; otherwise as
/// [`ffit_required_size`]. Takes up to 64 times as long.
pub fn ebuddy_required_size(max_live: usize, max_block: usize, min_block: usize) -> Option<usize> {
    ebuddy_profile_size(&[SizeRange::any(min_block, max_block)], max_live)
}

/// As [`ebuddy_required_size`], for a profile.
///
/// It is T4 ([`ebuddy_granules`]) with the tables of both parts.
pub fn ebuddy_profile_size(profile: &[SizeRange], max_live: usize) -> Option<usize> {
    let buddy = required_size(Heap::Buddy, profile, max_live);
    let ffit = required_size(Heap::Ffit, profile, max_live);
    if buddy.or(ffit).is_none() || buddy.or(ffit) > Some(isize::MAX as usize / 8) {
        return None;
    }
    let suffices = |area: usize| {
        let emergency = Ebuddy::emergency_bytes(area);
        let main = area.saturating_sub(emergency);
        // The cut is moved up to a multiple of the alignment.
        let emergency = emergency.saturating_sub(ALIGNMENT - 1);
        let enough = |need: Option<usize>, part: usize| need.is_some_and(|need| need <= part);
        enough(buddy, main)
            || enough(ffit, emergency)
            || buddy_granules_in(main)
                .and_then(|granules| emergency_live(profile, max_live, ALIGNMENT, granules))
                .is_some_and(|live| enough(required_size(Heap::Ffit, profile, live), emergency))
    };
    least_sufficient(Ebuddy::minimum_area(), suffices)
}

/// The granules of the largest buddy heap in `bytes` bytes at the worst
/// alignment; `None` where granules are larger in so large an area.
fn buddy_granules_in(bytes: usize) -> Option<u64> {
    if bytes / ALIGNMENT > MAX_GRANULES {
        return None;
    }
    let (mut granules, mut too_many) = (0, (bytes / ALIGNMENT) as u64 + 1);
    while too_many - granules > 1 {
        let middle = granules + (too_many - granules) / 2;
        let fits = area_bytes(Heap::Buddy, middle, ALIGNMENT.trailing_zeros()).is_some_and(|need| need <= bytes as u64);
        if fits { granules = middle } else { too_many = middle }
    }
    Some(granules)
}

/// Bytes below which *no* allocator that does not move blocks can serve every
/// program with at most `max_live` bytes live in blocks of `min_block` to
/// `max_block` bytes, even without bookkeeping, headers and alignment.
///
/// It is [`robson_granules`] in units of `min_block`: an allocator that places
/// multiples of it anywhere can be turned into one that places them on multiples
/// by rounding every address down, in no more memory. Saturates.
pub const fn any_allocator_required_size(max_live: usize, max_block: usize, min_block: usize) -> usize {
    let unit = max(min_block as u64, 1);
    let blocks = max_live as u64 / unit;
    let fragmented = robson_granules(blocks, max_block as u64 / unit).saturating_mul(unit);
    let live = min(max_live as u64, blocks.saturating_mul(max_block as u64));
    let bytes = max(fragmented, live);
    if bytes > usize::MAX as u64 { usize::MAX } else { bytes as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_for_each_size_would_gain_little() {
        for (min, max) in [(16, 4096), (16, 1 << 15), (100, 60_000)] {
            let profile = [SizeRange::any(min, max)];
            let groups = Groups::new(&profile, 1 << 20, 16, Rounding::Granules).unwrap();
            let few = first_fit_extent::<CLASSES>(&groups, 16).unwrap();
            let all = first_fit_extent::<4096>(&groups, 16).unwrap();
            assert!(few >= all && few * 50 <= all * 51, "{min}..={max}: {few}, {all}");
        }
    }
}
