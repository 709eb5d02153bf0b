//! buddy against the shadow model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| memman_fuzz::run::<memman::heap::Buddy>(data));
