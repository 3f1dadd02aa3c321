//! In the redirect URI's query (RFC 6749 §4.1.2).

use super::ResponseMode;
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::error::Result;
use crate::op::request::ReturnAddress;
use crate::op::serve::see_other;
use bytes::Bytes;
use http::Response;

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
    fn hides_from_servers(&self) -> bool {
        false
    }
    fn respond(
        &self,
        _: &Op,
        _: &Call<'_>,
        to: &ReturnAddress,
        params: &[(&str, &str)],
    ) -> Result<Response<Bytes>> {
        see_other(&super::append_query(to.uri(), params))
    }
}
