//! Values written as text: durations, rates, patterns of numbers.

use std::time::Duration;

use super::{Pattern, Span};

/// `250us`, `5ms`, `1.5s`, `2m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let wrong = || format!("{text:?} is no duration; write 250us, 5ms, 1.5s, 2m or 1h");
    let number: f64 = text[..split].parse().map_err(|_| wrong())?;
    let unit = match text[split..].trim() {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// `5000`, `"1000 -> 5000"` (ramp), `"1000 | 2000 | 4000"` (equal steps), and ramps within steps.
pub(crate) fn rate(text: &str, duration: Duration) -> Result<Vec<Span>, String> {
    let steps: Vec<&str> = text.split('|').collect();
    let each = duration.div_f64(steps.len() as f64);
    steps
        .iter()
        .map(|step| {
            let (from, to) = step.split_once("->").unwrap_or((step, step));
            Ok(Span { from: messages_per_second(from)?, to: messages_per_second(to)?, duration: each })
        })
        .collect()
}

fn messages_per_second(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1000.0),
        None => (text, 1.0),
    };
    match digits.replace('_', "").parse::<f64>() {
        Ok(number) if (0.0..=RATE_MAX).contains(&(number * factor)) => Ok(number * factor),
        _ => Err(format!(
            "{text:?} is no rate; write 5000, \"1000 -> 5000\" or \"1000 | 2000\" (at most {RATE_MAX})"
        )),
    }
}

/// `1312555####`: each `#` becomes a digit. `us-random` is short for a ten-digit number behind a 1.
pub(crate) fn pattern(text: &str) -> Result<Pattern, String> {
    let text = if text == "us-random" { "1##########" } else { text };
    if text.is_empty() || text.len() > 20 || !text.bytes().all(|c| c.is_ascii_graphic() || c == b' ') {
        return Err(format!("{text:?} is no address: 1 to 20 ASCII characters, # for a random digit"));
    }
    let numeric = text.bytes().all(|c| c.is_ascii_digit() || c == b'#');
    let (ton, npi) = match (numeric, text.len()) {
        (false, _) => (5, 0),    // alphanumeric
        (true, 0..=6) => (3, 0), // a short code is network specific
        (true, _) => (1, 1),     // international, E.164
    };
    Ok(Pattern { text: text.as_bytes().to_vec(), ton, npi })
}

/// Octets from hexadecimal digits.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Messages a second beyond which nanosecond schedules lose their meaning.
const RATE_MAX: f64 = 50_000_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, expected| assert_eq!(duration(text).ok(), expected, "{text}");
        check("5ms", Some(Duration::from_millis(5)));
        check("1.5s", Some(Duration::from_millis(1500)));
        check("250us", Some(Duration::from_micros(250)));
        check("2m", Some(Duration::from_secs(120)));
        check("1h", Some(Duration::from_secs(3600)));
        check("5", None);
        check("", None);
        check("-1s", None);
        check("1e99s", None);
        check("1..2s", None);
    }

    #[test]
    fn rates() {
        let second = Duration::from_secs(1);
        let check = |text, expected: Option<Vec<(f64, f64)>>| {
            let spans = rate(text, second).ok();
            assert_eq!(
                spans.map(|s| s.iter().map(|s| (s.from, s.to)).collect::<Vec<_>>()),
                expected,
                "{text}"
            );
        };
        check("5000", Some(vec![(5000.0, 5000.0)]));
        check("100k", Some(vec![(100_000.0, 100_000.0)]));
        check("1000 -> 5000", Some(vec![(1000.0, 5000.0)]));
        check("1000 | 2000", Some(vec![(1000.0, 1000.0), (2000.0, 2000.0)]));
        check("fast", None);
        check("-1", None);
        check("1 -> 2 -> 3", None);
    }

    #[test]
    fn patterns() {
        let check =
            |text, expected| assert_eq!(pattern(text).ok().map(|p| (p.ton, p.npi)), expected, "{text}");
        check("1312555####", Some((1, 1)));
        check("us-random", Some((1, 1)));
        check("12345", Some((3, 0)));
        check("Example", Some((5, 0)));
        check("", None);
        check("123456789012345678901", None);
    }
}
