//! Front-channel logout (OpenID Connect Front-Channel Logout §3): the page that frames what the clients of the ended
//! session have to show, and then goes on. It reaches what the browser lets frames of other sites reach; nothing here
//! depends on it.

use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::error::Result;
use crate::op::page::{Page, context};
use crate::op::record::session::Session;
use crate::op::response_mode::append_query;
use bytes::Bytes;
use http::{Response, StatusCode};

/// Frames on one page: the clients signed in to first.
const MAX_FRAMES: usize = 50;
/// How long the page waits for its frames, in seconds.
const WAIT: u64 = 5;

/// The whole of its element: on when every frame has loaded, or after [`WAIT`].
const SCRIPT: &str = r#""use strict";
const go = () => location.replace(document.getElementById("continue").href);
addEventListener("load", go);
setTimeout(go, 5000);"#;

/// What is to be framed now that `session` has ended.
pub async fn addresses(op: &Op, session: &Session, now: Timestamp) -> Result<Vec<String>> {
    let mut addresses = Vec::new();
    for id in &session.clients {
        let client = op.client(id, now).await?;
        let Some(uri) = client.as_ref().and_then(|client| client.metadata.frontchannel_logout_uri.as_ref())
        else {
            continue;
        };
        if addresses.len() == MAX_FRAMES {
            tracing::warn!(
                sid = session.sid,
                "more clients than frames: some are not told in the front channel"
            );
            break;
        }
        // §3: both or none; whoever did not ask for them does not mind.
        let who = [("iss", op.settings.issuer.as_str()), ("sid", session.sid.as_str())];
        addresses.push(append_query(uri, &who));
    }
    Ok(addresses)
}

/// The page with `frames`, which goes on to `return_to` if there is such a place.
pub fn page(
    op: &Op,
    call: &Call<'_>,
    ui_locales: &[String],
    frames: &[String],
    return_to: Option<&str>,
) -> Result<Response<Bytes>> {
    let mut page = Page::new("front_channel.html", call.request).in_one_of(ui_locales);
    for frame in frames {
        page = page.frames(frame);
    }
    if return_to.is_some() {
        page = page.runs(SCRIPT);
    }
    page.render(op, StatusCode::OK, context! { frames => frames.to_vec(), next => return_to, wait => WAIT })
}
