//! `strftime_now(format)`, which some templates call to print today's date, with the time given by the
//! caller.

use chrono::format::{Item, StrftimeItems};
use chrono::DateTime;
use minijinja::{Error, ErrorKind};

fn invalid(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {problem}"))
}

/// `now`: Unix seconds; shown in UTC.
pub fn format(now: i64, pattern: &str) -> Result<String, Error> {
    let time = DateTime::from_timestamp(now, 0).ok_or_else(|| invalid(format!("{now} is no time")))?;
    let items: Vec<Item> = StrftimeItems::new(pattern).collect();
    // Formatting an unknown specifier would panic.
    if items.contains(&Item::Error) {
        return Err(invalid(format!("cannot read the format '{pattern}'")));
    }
    Ok(time.format_with_items(items.iter()).to_string())
}
