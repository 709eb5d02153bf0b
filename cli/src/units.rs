//! Sizes as people write and read them. May use: nothing.

/// A number of bytes, with K, M, G or T behind it for powers of 1024.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is no size: write a number, and K, M, G or T behind it for powers of 1024");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return Err(wrong()),
    };
    let number: usize = digits.parse().ok().filter(|_| !digits.starts_with('+')).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes <= isize::MAX as usize).ok_or(format!("'{text}' is too large"))
}

/// Bytes for people: three digits and a unit.
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 9999.5 && unit < 4 {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 99.95 => format!("{value:.1} {}iB", ["", "K", "M", "G", "T"][unit]),
        _ => format!("{value:.0} {}iB", ["", "K", "M", "G", "T"][unit]),
    }
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds for people.
pub fn duration(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(parse_size("750000"), Ok(750_000));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "-1", "+1", "1.5M", "64MB", "1 K", "99999999999999999999", "9999999999T", "é"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_short() {
        assert_eq!(bytes(9999), "9999 B");
        assert_eq!(bytes(10 << 10), "10.0 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
    }
}
