//! What the program tells its operator: traces, access log, metrics, audit.

pub mod access_log;
pub mod audit;
pub mod metrics;
pub mod sink;
pub mod trace;

use crate::base::clock::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as RFC 3339 text in UTC.
pub fn stamp(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| "never".into())
}
