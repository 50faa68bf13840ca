//! Absolute and relative time (SMPP 3.4 §7.1.1): sixteen characters `YYMMDDhhmmsstnnp`.

use core::time::Duration;

/// Characters of a time, without the NUL.
pub const TIME_LENGTH: usize = 16;

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_QUARTER_HOUR: i64 = 900;
/// The standard writes two digits of the year; SMPP began in the nineties, messages live for days.
const CENTURY: i64 = 2000;
/// The furthest zone from UTC the standard can write, in quarter hours.
const QUARTER_HOURS_MAX: u8 = 48;

/// A time as it stands in `schedule_delivery_time`, `validity_period` or `final_date`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Time {
    /// A moment with its zone.
    Absolute(AbsoluteTime),
    /// A span from the moment the SMSC took the message.
    Relative(RelativeTime),
}

/// A moment: fields as written, local to its zone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AbsoluteTime {
    /// Year after 2000, 0 to 99.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the days of the month.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Tenths of a second, 0 to 9.
    pub tenth: u8,
    /// Quarter hours this zone is ahead of UTC, -48 to 48.
    pub quarter_hours_ahead: i8,
}

/// A span: fields as written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RelativeTime {
    /// Years, 0 to 99.
    pub years: u8,
    /// Months, 0 to 12.
    pub months: u8,
    /// Days, 0 to 31.
    pub days: u8,
    /// Hours, 0 to 23.
    pub hours: u8,
    /// Minutes, 0 to 59.
    pub minutes: u8,
    /// Seconds, 0 to 59.
    pub seconds: u8,
}

impl Time {
    /// Reads sixteen characters; `None` where they are no time. An empty field means "none given" and is the
    /// caller's to tell apart.
    pub fn parse(text: &[u8]) -> Option<Time> {
        let text: &[u8; TIME_LENGTH] = text.try_into().ok()?;
        let pair = |at: usize| -> Option<u8> { Some(digit(text[at])? * 10 + digit(text[at + 1])?) };
        let fields = [pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?, pair(10)?];
        let tenth = digit(text[12])?;
        let quarter_hours = pair(13)?;
        match text[15] {
            // Tenths and quarter hours mean nothing in a span: they should be zero, and are ignored.
            b'R' => RelativeTime::checked(fields).map(Time::Relative),
            b'+' => AbsoluteTime::checked(fields, tenth, quarter_hours, 1).map(Time::Absolute),
            b'-' => AbsoluteTime::checked(fields, tenth, quarter_hours, -1).map(Time::Absolute),
            _ => None,
        }
    }

    /// The sixteen characters.
    pub fn write(&self) -> [u8; TIME_LENGTH] {
        match self {
            Time::Absolute(time) => {
                let sign = if time.quarter_hours_ahead < 0 { b'-' } else { b'+' };
                let fields = [time.year, time.month, time.day, time.hour, time.minute, time.second];
                characters(fields, time.tenth, time.quarter_hours_ahead.unsigned_abs(), sign)
            }
            Time::Relative(span) => {
                let fields = [span.years, span.months, span.days, span.hours, span.minutes, span.seconds];
                characters(fields, 0, 0, b'R')
            }
        }
    }

    /// Whether these are sixteen characters as every peer takes them: a time, and the digits that a span has no use
    /// for are zero, as they should be (SMPP 3.4 §7.1.1.2).
    pub fn is_plain(text: &[u8]) -> bool {
        match Time::parse(text) {
            Some(Time::Absolute(_)) => true,
            Some(Time::Relative(_)) => text.get(12..15) == Some(b"000"),
            None => false,
        }
    }

    /// Seconds since 1970-01-01 UTC this means, for a message taken at `now` (in the same seconds).
    pub fn unix_seconds(&self, now: i64) -> i64 {
        match self {
            Time::Absolute(time) => time.unix_seconds(),
            Time::Relative(span) => now.saturating_add(span.duration().as_secs() as i64),
        }
    }
}

impl AbsoluteTime {
    /// The moment `seconds` after 1970-01-01 UTC, written in UTC; `None` outside the years 2000 to 2099.
    pub fn from_unix_seconds(seconds: i64) -> Option<AbsoluteTime> {
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let year = u8::try_from(year - CENTURY).ok().filter(|year| *year <= 99)?;
        Some(AbsoluteTime {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            tenth: 0,
            quarter_hours_ahead: 0,
        })
    }

    /// Seconds since 1970-01-01 UTC; tenths are dropped.
    pub fn unix_seconds(&self) -> i64 {
        let days = days_from_civil(CENTURY + i64::from(self.year), self.month, self.day);
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        days * SECONDS_PER_DAY + of_day - i64::from(self.quarter_hours_ahead) * SECONDS_PER_QUARTER_HOUR
    }

    fn checked(fields: [u8; 6], tenth: u8, quarter_hours: u8, sign: i8) -> Option<AbsoluteTime> {
        let [year, month, day, hour, minute, second] = fields;
        let legal = (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && quarter_hours <= QUARTER_HOURS_MAX;
        let quarter_hours_ahead = sign * quarter_hours as i8;
        legal.then_some(AbsoluteTime { year, month, day, hour, minute, second, tenth, quarter_hours_ahead })
    }
}

impl RelativeTime {
    /// The span in whole seconds (weeks and longer as days); spans of a hundred years and more are cut.
    pub fn from_duration(duration: Duration) -> RelativeTime {
        let total = duration.as_secs().min(99 * 365 * 86_400);
        let days = total / 86_400;
        // A month of the standard has no fixed length. Days carry to 31, the rest goes to months of 30 and
        // years of 365 days, as `duration` reads them back.
        let (years, rest) = if days > 31 { (days / 365, days % 365) } else { (0, days) };
        let (months, days) =
            if rest > 31 { ((rest / 30).min(12), rest - (rest / 30).min(12) * 30) } else { (0, rest) };
        RelativeTime {
            years: years as u8,
            months: months as u8,
            days: days as u8,
            hours: (total / 3600 % 24) as u8,
            minutes: (total / 60 % 60) as u8,
            seconds: (total % 60) as u8,
        }
    }

    /// The span, a year taken as 365 days and a month as 30.
    pub fn duration(&self) -> Duration {
        let days = u64::from(self.years) * 365 + u64::from(self.months) * 30 + u64::from(self.days);
        let of_day = u64::from(self.hours) * 3600 + u64::from(self.minutes) * 60 + u64::from(self.seconds);
        Duration::from_secs(days * 86_400 + of_day)
    }

    fn checked(fields: [u8; 6]) -> Option<RelativeTime> {
        let [years, months, days, hours, minutes, seconds] = fields;
        let legal = months <= 12 && days <= 31 && hours < 24 && minutes < 60 && seconds < 60;
        legal.then_some(RelativeTime { years, months, days, hours, minutes, seconds })
    }
}

fn digit(character: u8) -> Option<u8> {
    character.is_ascii_digit().then(|| character - b'0')
}

fn characters(fields: [u8; 6], tenth: u8, quarter_hours: u8, sign: u8) -> [u8; TIME_LENGTH] {
    let mut text = [b'0'; TIME_LENGTH];
    let mut pair = |at: usize, value: u8| {
        text[at] = b'0' + value / 10 % 10;
        text[at + 1] = b'0' + value % 10;
    };
    for (index, value) in fields.into_iter().enumerate() {
        pair(index * 2, value);
    }
    pair(13, quarter_hours);
    text[12] = b'0' + tenth % 10;
    text[15] = sign;
    text
}

fn days_of_month(year: u8, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        // 2000 to 2099 holds no leap-year exception: 2000 was one.
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date, in the proleptic Gregorian calendar; months are counted from March so that
/// the leap day ends the year.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_times_mean_a_moment() {
        let check = |text: &[u8; 16], unix: i64| {
            let time = Time::parse(text).expect("a time");
            assert_eq!(time.unix_seconds(0), unix);
            assert_eq!(&time.write(), text);
        };
        check(b"000101000000000+", 946_684_800);
        check(b"260228235959900+", 1_772_323_199);
        check(b"240229120000008+", 1_709_200_800);
        check(b"240229120000008-", 1_709_215_200);
        check(b"991231235959948-", 4_102_487_999);
    }

    #[test]
    fn relative_times_are_spans() {
        let check = |text: &[u8; 16], seconds: u64| {
            let time = Time::parse(text).expect("a time");
            assert_eq!(time.unix_seconds(1000), 1000 + seconds as i64);
            assert_eq!(&time.write(), text);
        };
        check(b"000000000000000R", 0);
        check(b"000000010000000R", 3600);
        check(b"000003000000000R", 3 * 86_400);
        check(b"010203040506000R", (365 + 60 + 3) * 86_400 + 4 * 3600 + 5 * 60 + 6);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let check = |text: &[u8]| assert_eq!(Time::parse(text), None);
        check(b"");
        check(b"00010100000000");
        check(b"000101000000000Z");
        check(b"001301000000000+");
        check(b"000100000000000+");
        check(b"010229000000000+");
        check(b"000101240000000+");
        check(b"000101006000000+");
        check(b"000101000000049+");
        check(b"00010100000000x+");
        check(b"001300000000000R");
        check(b"000000000030x00R");
        check(b"0000000000300000");
    }

    #[test]
    fn ignores_tenths_and_quarter_hours_of_a_span() {
        let check = |text: &[u8; 16], written: &[u8; 16]| {
            let time = Time::parse(text).expect("a time");
            assert_eq!(&time.write(), written);
            assert_eq!(Time::is_plain(text), text == written);
            assert!(Time::is_plain(written));
        };
        check(b"000000000030500R", b"000000000030000R");
        check(b"070605040302100R", b"070605040302000R");
        check(b"000000000030048R", b"000000000030000R");
        check(b"000000000030999R", b"000000000030000R");
        check(b"000013000000100R", b"000013000000000R");
    }

    #[test]
    fn durations_and_moments_come_back() {
        for seconds in [0, 59, 3600, 86_399, 31 * 86_400, 32 * 86_400, 364 * 86_400, 400 * 86_400 + 7] {
            let span = RelativeTime::from_duration(Duration::from_secs(seconds));
            assert_eq!(Time::parse(&Time::Relative(span).write()), Some(Time::Relative(span)));
            assert_eq!(span.duration().as_secs(), seconds);
        }
        for seconds in (946_684_800..4_102_444_800).step_by(86_400 * 13 + 4567) {
            assert_eq!(
                AbsoluteTime::from_unix_seconds(seconds).map(|time| time.unix_seconds()),
                Some(seconds)
            );
        }
        assert_eq!(AbsoluteTime::from_unix_seconds(0), None);
    }
}
