//! Nobody passes: for a path below an open one that must not be reached from outside. RFC 9110 §15.5.4.

use super::{Asked, Judged, Policy};
use crate::proxy::denial::Denial;
use crate::proxy::settings;

pub(super) struct Deny;

impl Policy for Deny {
    fn name(&self) -> &'static str {
        "deny"
    }

    fn spec(&self) -> &'static str {
        "RFC 9110 §15.5.4"
    }

    fn is_for(&self, rule: &settings::Policy) -> bool {
        matches!(rule, settings::Policy::Deny)
    }

    fn judge<'a>(&self, _asked: Asked<'a>) -> Judged<'a> {
        Judged::Now(Err(Denial::Forbidden("Nobody may pass here")))
    }
}
