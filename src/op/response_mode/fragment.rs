//! In the redirect URI's fragment (RFC 6749 §4.2.2): the browser keeps it to itself and the page it opens.

use super::{Answer, Pairs, ResponseMode};
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::record::client::Client;
use crate::op::request::ReturnAddress;
use crate::op::serve::see_other;

pub struct Fragment;

impl ResponseMode for Fragment {
    fn name(&self) -> &'static str {
        "fragment"
    }
    fn spec(&self) -> &'static str {
        "OAuth 2.0 Multiple Response Type Encoding Practices §2.1"
    }
    fn redirects(&self) -> bool {
        true
    }
    fn hides_from_servers(&self, _: &Client) -> bool {
        true
    }
    fn respond(&self, _: &Op, _: &Call<'_>, to: &ReturnAddress, params: Pairs<'_>) -> Answer {
        // A redirect URI has no fragment of its own: registration refuses it (RFC 6749 §3.1.2).
        see_other(&format!("{}#{}", to.uri(), super::encoded(params)))
    }
}
