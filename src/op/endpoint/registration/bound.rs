//! What a client registers about tokens that are bound to it (RFC 9449 §5.2, RFC 8705 §3.4).

use super::metadata::{Checked, Sent};
use crate::op::record::client::Metadata;

pub(super) const MEMBERS: [&str; 1] = ["dpop_bound_access_tokens"];

pub(super) fn bound(sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    kept.dpop_bound_access_tokens = sent.flag("dpop_bound_access_tokens")?;
    Ok(())
}
