//! What is known of a program's requests: sizes, and how many blocks of each
//! live at once. May use: `trace`, the bounds.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use memman::analysis::bounds::{
    SizeRange, UNLIMITED, any_allocator_required_size, buddy_profile_size, ebuddy_profile_size, ffit_profile_size,
};
use memman::analysis::policy::Kind;
use serde::Deserialize;

use crate::trace::{Op, Trace};

/// What is known of a program's requests.
pub struct Profile {
    pub ranges: Vec<SizeRange>,
    pub max_live: usize,
}

/// A profile as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    max_live: Option<usize>,
    sizes: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// One size, or else a range.
    size: Option<usize>,
    min: Option<usize>,
    max: Option<usize>,
    count: Option<usize>,
}

/// No profile that a person or a program means is longer.
const LONGEST_PROFILE: u64 = 1 << 20;

impl Profile {
    pub fn read(path: &Path) -> Result<Profile> {
        let shown = path.display();
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        file.take(LONGEST_PROFILE + 1).read_to_string(&mut text).with_context(|| format!("{shown} is no text"))?;
        if text.len() as u64 > LONGEST_PROFILE {
            bail!("{shown} is longer than a profile can be, {LONGEST_PROFILE} bytes");
        }
        Self::parse(&text).with_context(|| format!("{shown} is no profile"))
    }

    fn parse(text: &str) -> Result<Profile> {
        let file: ProfileFile = serde_json::from_str(text)?;
        let mut ranges = Vec::new();
        for (number, line) in file.sizes.iter().enumerate() {
            let (min, max) = match (line.size, line.min, line.max) {
                (Some(size), None, None) => (size, size),
                (None, Some(min), Some(max)) => (min, max),
                _ => bail!("line {} of sizes needs either size, or min and max", number + 1),
            };
            if max < min || max == 0 {
                bail!("line {} of sizes ends before it begins", number + 1);
            }
            ranges.push(SizeRange { min, max, count: line.count.unwrap_or(UNLIMITED) });
        }
        let max_live = file.max_live.unwrap_or(UNLIMITED);
        if ranges.is_empty() {
            bail!("it has no sizes");
        }
        if max_live == UNLIMITED && ranges.iter().any(|range| range.count == UNLIMITED) {
            bail!("give max_live, or a count for every size: nothing limits what is live");
        }
        Ok(Profile { ranges, max_live })
    }

    /// The most bytes that can be live.
    pub fn live(&self) -> usize {
        let counted = |sum: usize, range: &SizeRange| sum.saturating_add(range.count.saturating_mul(range.max));
        self.max_live.min(self.ranges.iter().fold(0, counted))
    }

    /// Bytes of area that are enough for every program with this profile.
    pub fn guaranteed(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Ffit => ffit_profile_size(&self.ranges, self.max_live),
            Kind::Buddy => buddy_profile_size(&self.ranges, self.max_live),
            Kind::Ebuddy => ebuddy_profile_size(&self.ranges, self.max_live),
        }
    }

    /// No allocator can promise the profile with fewer bytes.
    pub fn any_allocator(&self) -> usize {
        // Counts limit the adversary that the lower bound is of; and it needs
        // the smallest size, twice that, and so on.
        let unlimited = || self.ranges.iter().filter(|range| range.count == UNLIMITED);
        let allowed = |size: usize| unlimited().any(|range| (range.min..=range.max).contains(&size));
        let Some(smallest) = unlimited().map(|range| range.min.max(1)).min() else {
            return self.live();
        };
        let doubled = std::iter::successors(Some(smallest), |size| size.checked_mul(2));
        let largest = doubled.take_while(|&size| allowed(size)).last().unwrap_or(smallest);
        any_allocator_required_size(self.live(), largest, smallest)
    }

    /// The profile of a trace: ranges of sizes, and the most of each at once. A
    /// resize is counted as the new block beside the old; over-alignment as
    /// bytes.
    pub fn of(trace: &Trace) -> Result<Profile> {
        let mut now = vec![0usize; RANGES];
        let mut most: Vec<Option<(usize, usize, usize)>> = vec![None; RANGES];
        let mut sizes = vec![0usize; trace.most_blocks];
        let (mut live, mut peak) = (0usize, 0);
        trace.each(|event| {
            let (block, size) = match event.op {
                Op::Get { block, size, align } => {
                    let extra = 1u64.checked_shl(align.into()).unwrap_or(u64::MAX).saturating_sub(16);
                    (block as usize, size.max(1).saturating_add(extra))
                }
                Op::Resize { block, size } => (block as usize, size.max(1)),
                Op::Free { block } => {
                    let old = std::mem::take(&mut sizes[block as usize]);
                    live -= old;
                    now[range_of(old)] -= 1;
                    return ControlFlow::Continue(());
                }
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX).min(1 << 60);
            let range = range_of(size);
            now[range] += 1;
            live = live.saturating_add(size);
            peak = peak.max(live);
            let (low, high, count) = most[range].unwrap_or((size, size, 0));
            most[range] = Some((low.min(size), high.max(size), count.max(now[range])));
            let old = std::mem::replace(&mut sizes[block], size);
            if old != 0 {
                live -= old;
                now[range_of(old)] -= 1;
            }
            if live > 1 << 61 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let ranges = most.into_iter().flatten().map(|(min, max, count)| SizeRange { min, max, count }).collect();
        Ok(Profile { ranges, max_live: peak })
    }
}

/// As many ranges as a bound keeps apart.
const RANGES: usize = 64;

/// Each multiple of 16 up to 128, then two ranges to an octave.
fn range_of(size: usize) -> usize {
    let granules = size.max(1).div_ceil(16);
    if granules <= 8 {
        return granules - 1;
    }
    let octave = (granules - 1).ilog2() as usize;
    let upper = (granules - 1) >> (octave - 1) & 1;
    (8 + 2 * (octave - 3) + upper).min(RANGES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_with_sizes() {
        let mut last = 0;
        for size in 1..100_000 {
            let range = range_of(size);
            assert!(range == last || range == last + 1, "{size}");
            last = range;
        }
        assert_eq!((range_of(16), range_of(17), range_of(usize::MAX)), (0, 1, RANGES - 1));
    }

    #[test]
    fn a_profile_is_read() {
        let text = r#"{"sizes": [{"size": 24, "count": 40}, {"min": 4000, "max": 4096, "count": 3}]}"#;
        let profile = Profile::parse(text).expect("a profile");
        assert_eq!(profile.ranges[1], SizeRange { min: 4000, max: 4096, count: 3 });
        assert_eq!(profile.live(), 40 * 24 + 3 * 4096);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let size = r#"{"sizes": [{"size": 24}]}"#;
        for text in ["", "{}", "[]", size, r#"{"sizes": []}"#, r#"{"sizes": [{"min": 5, "max": 4, "count": 1}]}"#] {
            assert!(Profile::parse(text).is_err(), "{text}");
        }
        assert!(Profile::parse(r#"{"sizes": [{"size": -1, "count": 1}]}"#).is_err());
        assert!(Profile::parse(r#"{"sizes": [{"size": 8, "max": 9, "count": 1}], "max_live": 10}"#).is_err());
    }
}
