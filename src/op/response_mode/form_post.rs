//! In a form that posts itself to the redirect URI (OAuth 2.0 Form Post Response Mode §2). Without script the person
//! presses its button.

use super::{Answer, Pairs, ResponseMode};
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::page::{FORM_POST_SCRIPT, Page};
use crate::op::page::{Variable, context};
use crate::op::record::client::Client;
use crate::op::request::ReturnAddress;
use http::StatusCode;

pub struct FormPost;

impl ResponseMode for FormPost {
    fn name(&self) -> &'static str {
        "form_post"
    }
    fn spec(&self) -> &'static str {
        "OAuth 2.0 Form Post Response Mode §2"
    }
    fn redirects(&self) -> bool {
        false
    }
    fn hides_from_servers(&self, _: &Client) -> bool {
        true
    }
    fn respond(&self, op: &Op, call: &Call<'_>, to: &ReturnAddress, params: Pairs<'_>) -> Answer {
        let pair = |(name, value): &(&str, &str)| Variable::from_iter([*name, *value]);
        let fields: Vec<Variable> = params.iter().map(pair).collect();
        Page::new("form_post.html", call.request).posts_to(to.uri()).runs(FORM_POST_SCRIPT).render(
            op,
            StatusCode::OK,
            context! { action => to.uri(), fields => fields },
        )
    }
}
