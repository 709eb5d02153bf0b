//! Profiles and sizes as people write them: any text is a profile that has a
//! bound, or is refused; and a size is what its digits and its letter say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memman::analysis::bounds::{UNLIMITED, buddy_profile_size};
use memman_fuzz::profile::Profile;
use memman_fuzz::{units, with_file};

fn assert_profile(profile: &Profile) {
    assert!(!profile.ranges.is_empty());
    for range in &profile.ranges {
        assert!(range.min <= range.max && range.max > 0, "{range:?}");
        assert!(range.count != UNLIMITED || profile.max_live != UNLIMITED, "{range:?}");
    }
    let live = profile.max_live.min(1 << 20);
    let bytes = buddy_profile_size(&profile.ranges, live).expect("a megabyte has a bound");
    let half = buddy_profile_size(&profile.ranges, live / 2).expect("and half of it");
    assert!(bytes >= half, "{bytes} are enough for {live}, and {half} needed for half of it");
}

fuzz_target!(|text: &str| {
    with_file(text.as_bytes(), |path| {
        if let Ok(profile) = Profile::read(path) {
            assert_profile(&profile);
        }
    });
    if let Ok(size) = units::parse_size(text) {
        let (digits, letter) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let number: u128 = digits.parse().expect("digits");
        let shift =
            ["", "k", "m", "g", "t"].iter().position(|unit| letter.eq_ignore_ascii_case(unit)).expect("a letter");
        assert_eq!(size as u128, number << (10 * shift), "{text}");
    }
});
