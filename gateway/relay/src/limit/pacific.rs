//! The day in Los Angeles, by which carriers count.

const DAY_SECONDS: i64 = 86_400;
const HOUR_SECONDS: i64 = 3_600;

/// Days since 1970 in Los Angeles. Daylight saving as the law has been since 2007: from the second Sunday of March to
/// the first of November, each at 2 o'clock.
pub fn pacific_day(unix_seconds: u64) -> u32 {
    let utc = unix_seconds as i64;
    let year = year_of(utc.div_euclid(DAY_SECONDS));
    let from = sunday(year, 3, 2) * DAY_SECONDS + 10 * HOUR_SECONDS; // 2:00 at UTC-8
    let to = sunday(year, 11, 1) * DAY_SECONDS + 9 * HOUR_SECONDS; // 2:00 at UTC-7
    let offset = if (from..to).contains(&utc) { -7 } else { -8 };
    u32::try_from((utc + offset * HOUR_SECONDS).div_euclid(DAY_SECONDS)).unwrap_or(0)
}

/// The day, since 1970, of a month's n-th Sunday.
fn sunday(year: i64, month: i64, nth: i64) -> i64 {
    let first = days_from_civil(year, month);
    let weekday = (first + 4).rem_euclid(7); // 1970-01-01 was a Thursday; Sunday is 0
    first + (7 - weekday) % 7 + 7 * (nth - 1)
}

/// The first of a month, days since 1970, in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn year_of(day: i64) -> i64 {
    let mut year = 1970 + day.div_euclid(366);
    while days_from_civil(year + 1, 1) <= day {
        year += 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unix times from the zone files: `TZ=America/Los_Angeles date -d ... +%s`.
    #[test]
    fn the_day_turns_at_midnight_in_los_angeles() {
        let check = |unix: u64, day: u32| assert_eq!(pacific_day(unix), day, "{unix}");
        let first = 20_454; // 2026-01-01
        check(1_767_254_399, first - 1); // 2025-12-31 23:59:59 PST
        check(1_767_254_400, first); // 2026-01-01 00:00:00 PST
        // 2026-03-08, the day on which the clock goes forward, has 23 hours.
        check(1_772_956_799, first + 65); // 2026-03-07 23:59:59 PST
        check(1_772_956_800, first + 66); // 2026-03-08 00:00:00 PST
        check(1_773_039_599, first + 66); // 23:59:59 PDT
        check(1_773_039_600, first + 67); // 2026-03-09 00:00:00 PDT
        // 2026-11-01, on which it goes back, has 25.
        check(1_793_516_399, first + 303); // 2026-10-31 23:59:59 PDT
        check(1_793_516_400, first + 304); // 2026-11-01 00:00:00 PDT
        check(1_793_606_399, first + 304); // 23:59:59 PST
        check(1_793_606_400, first + 305); // 2026-11-02 00:00:00 PST
        check(0, 0); // 1969 there, but no clock of ours shows it
    }

    #[test]
    fn leap_years_have_a_day_more() {
        assert_eq!(days_from_civil(2028, 3) - days_from_civil(2028, 2), 29);
        assert_eq!(days_from_civil(2100, 3) - days_from_civil(2100, 2), 28);
        assert_eq!(days_from_civil(2000, 3) - days_from_civil(2000, 2), 29);
        assert_eq!((year_of(0), year_of(364), year_of(365)), (1970, 1970, 1971));
    }
}
