//! In the redirect URI's query (RFC 6749 §4.1.2).

use super::{Answer, Pairs, ResponseMode};
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::record::client::Client;
use crate::op::request::ReturnAddress;
use crate::op::serve::see_other;

pub struct Query;

impl ResponseMode for Query {
    fn name(&self) -> &'static str {
        "query"
    }
    fn spec(&self) -> &'static str {
        "OAuth 2.0 Multiple Response Type Encoding Practices §2.1"
    }
    fn redirects(&self) -> bool {
        true
    }
    fn hides_from_servers(&self, _: &Client) -> bool {
        false
    }
    fn respond(&self, _: &Op, _: &Call<'_>, to: &ReturnAddress, params: Pairs<'_>) -> Answer {
        see_other(&super::append_query(to.uri(), params))
    }
}
