//! The parser of MEMMAN_CONF: any bytes are a configuration within its limits,
//! and what it complains of changes nothing.
#![no_main]

use std::cell::{Cell, RefCell};

use libfuzzer_sys::fuzz_target;

/// The environment as the parser finds it.
mod platform {
    use super::TEXT;

    pub fn variable(_name: &[u8]) -> Option<&'static [u8]> {
        // SAFETY: the parser keeps nothing of the text, which outlives its call.
        TEXT.with_borrow(|text| Some(unsafe { std::slice::from_raw_parts(text.as_ptr(), text.len()) }))
    }

    pub fn address_limit() -> usize {
        usize::MAX
    }

    pub fn cores() -> usize {
        2
    }
}

/// The rooms that the parser's own uses, beside it.
#[path = "."]
mod malloc {
    pub mod classes {
        pub const MAX_SMALL: usize = 32 << 10;
    }

    pub mod message {
        pub fn warn(parts: &[&[u8]]) {
            assert!(!parts.is_empty());
            crate::WARNINGS.set(crate::WARNINGS.get() + 1);
        }
    }

    #[path = "../../src/malloc/config.rs"]
    mod config;

    /// Every knob, as text, after the limits were held against it.
    pub fn read() -> String {
        let config = config::Config::read();
        assert!((1..=config::MAX_HEAPS).contains(&config.heaps), "{config:?}");
        assert!(config.huge > classes::MAX_SMALL, "{config:?}");
        assert!(config.pool == 0 || config.pool >= 4096, "{config:?}");
        assert!(config.pool <= isize::MAX as usize, "{config:?}");
        format!("{config:?}")
    }
}

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static WARNINGS: Cell<usize> = const { Cell::new(0) };
}

/// What the parser makes of `text`, and how often it warns.
fn read(text: &[u8]) -> (String, usize) {
    TEXT.set(text.to_vec());
    WARNINGS.set(0);
    (malloc::read(), WARNINGS.get())
}

fuzz_target!(|text: &[u8]| {
    let items = || text.split(|&byte| byte == b',');
    let (config, warnings) = read(text);
    let good: Vec<&[u8]> = items().filter(|item| read(item).1 == 0).collect();
    assert_eq!(warnings, items().count() - good.len(), "one warning for each bad item");
    assert_eq!((config, 0), read(&good.join(&b',')), "a bad item changes nothing");
});
