//! A daily window of time, by an offset from UTC that does not change: what a route may be bound to.

use core::fmt;

const MINUTES_A_DAY: u16 = 24 * 60;
/// UTC+14:00 is the farthest offset in use.
const OFFSET_MINUTES_MAX: u16 = 14 * 60;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// From one minute of the day to before another, on some days of the week. One that ends before it begins goes over
/// midnight, and belongs to the day it began on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hours {
    /// A bit for each day, Monday first.
    days: u8,
    /// Minutes after midnight, 0..=1439.
    from: u16,
    /// 1..=1440, not `from`.
    to: u16,
    /// What the local clock is ahead of UTC.
    offset_minutes: i16,
}

impl Hours {
    /// Reads `08:00-20:00`, with days before it and an offset behind it where wanted: `Mon-Fri 08:00-20:00 -05:00`,
    /// `Sat,Sun 22:00-06:00 UTC`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<&str> = text.split(' ').collect();
        let days = match words.first()?.bytes().next()?.is_ascii_alphabetic() {
            true => days_of(words.remove(0))?,
            false => 0b111_1111,
        };
        let (from, to) = words.first()?.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        let offset_minutes = match words.get(1..)? {
            [] | ["UTC" | "Z"] => 0,
            [offset] => offset_of(offset)?,
            _ => return None,
        };
        (from != to && from < MINUTES_A_DAY && to > 0).then_some(Self { days, from, to, offset_minutes })
    }

    /// True when this moment, in seconds since 1970 UTC, lies within.
    pub fn contains(self, unix_seconds: u64) -> bool {
        const DAY: i64 = 86_400;
        const THURSDAY: i64 = 3; // 1970-01-01
        let local = i64::try_from(unix_seconds).unwrap_or(i64::MAX / 2) + i64::from(self.offset_minutes) * 60;
        let minute = (local.rem_euclid(DAY) / 60) as u16;
        let today = (local.div_euclid(DAY) + THURSDAY).rem_euclid(7);
        let on = |day: i64| self.days & 1 << day.rem_euclid(7) != 0;
        if self.from < self.to {
            return (self.from..self.to).contains(&minute) && on(today);
        }
        minute >= self.from && on(today) || minute < self.to && on(today - 1)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0b111_1111 {
            let days =
                DAYS.iter().enumerate().filter(|(at, _)| self.days & 1 << at != 0).map(|(_, day)| *day);
            write!(f, "{} ", days.collect::<Vec<_>>().join(","))?;
        }
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{} ", clock(self.from), clock(self.to))?;
        match self.offset_minutes {
            0 => f.write_str("UTC"),
            minutes => {
                write!(f, "{}{}", if minutes < 0 { '-' } else { '+' }, clock(minutes.unsigned_abs()))
            }
        }
    }
}

/// `Mon`, `Mon-Fri` or `Sat,Sun`; a span may go over Sunday.
fn days_of(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days |= 1 << last;
        while at != last {
            days |= 1 << at;
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

/// `HH:MM`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, max: u16| {
        let is_number = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_number && *number <= max)
    };
    let minute = number(hours, 24)? * 60 + number(minutes, 59)?;
    (minute <= MINUTES_A_DAY).then_some(minute)
}

/// `+02:00` or `-05:00`.
fn offset_of(text: &str) -> Option<i16> {
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let minutes = minute(text.get(1..)?).filter(|minutes| *minutes <= OFFSET_MINUTES_MAX)?;
    Some(sign * minutes as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THURSDAY: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z
    const HOUR: u64 = 3600;

    fn check(text: &str, hours_after_thursday: i64, expected: bool) {
        let hours = Hours::parse(text).expect("hours");
        let at = THURSDAY.saturating_add_signed(hours_after_thursday * HOUR as i64);
        assert_eq!(hours.contains(at), expected, "{text} at {hours_after_thursday}");
        assert_eq!(Hours::parse(&hours.to_string()), Some(hours), "{hours}");
    }

    #[test]
    fn windows_end_before_their_last_minute_and_may_go_over_midnight() {
        check("08:00-20:00", 8, true);
        check("08:00-20:00", 20, false);
        check("08:00-20:00", 7, false);
        check("00:00-24:00", 23, true);
        check("22:00-06:00", 23, true);
        check("22:00-06:00", 5, true);
        check("22:00-06:00", 6, false);
        check("08:00-20:00 -05:00", 8, false);
        check("08:00-20:00 -05:00", 24, true); // 19:00 there
        check("08:00-20:00 +02:00", 6, true);
    }

    #[test]
    fn days_are_those_of_the_local_clock_on_which_a_window_began() {
        check("Mon-Fri 08:00-20:00", 12, true);
        check("Mon-Fri 08:00-20:00", 48 + 12, false); // Saturday
        check("Sat,Sun 08:00-20:00 UTC", 48 + 12, true);
        check("Fri-Mon 08:00-20:00", 12, false);
        check("Fri-Mon 08:00-20:00", 4 * 24 + 12, true);
        check("Wed 22:00-06:00", 2, true);
        check("Thu 22:00-06:00", 2, false);
        check("Wed 08:00-24:00 -05:00", 2, true); // still Wednesday, 21:00
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in
            ["", " ", "8:00-20:00", "08:00", "08:00-08:00", "24:00-08:00", "08:00-25:00", "08:60-09:00"]
        {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
        for text in ["Mo 08:00-20:00", "08:00-20:00 CET", "08:00-20:00 +15:00", "08:00-00:00", "Mon"] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
    }
}
