//! Everybody passes. It must be said of a route, and it cannot ask for anything.

use super::{Asked, Judged, Permit, Policy};
use crate::proxy::settings;

pub(super) struct Public;

impl Policy for Public {
    fn name(&self) -> &'static str {
        "public"
    }

    fn spec(&self) -> &'static str {
        "none: who calls is not asked"
    }

    fn is_for(&self, rule: &settings::Policy) -> bool {
        matches!(rule, settings::Policy::Public)
    }

    fn protects(&self) -> bool {
        false
    }

    fn judge<'a>(&self, _asked: Asked<'a>) -> Judged<'a> {
        Judged::Now(Ok(Permit { facts: None, nonce: None }))
    }
}
