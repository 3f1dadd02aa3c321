//! The pages people see: built-in templates that an operator may override, one Content-Security-Policy per page made
//! here, and no script but those that send a person on.

mod csp;
mod locale;
mod qr;
mod templates;
#[cfg(test)]
mod tests;

pub(super) use locale::{Locale, negotiate, tags};
pub(super) use qr::qr;
pub(super) use templates::Templates;

use super::error::{Code, Error, Result};
use super::serve::set;
use super::{Op, Peer};
use crate::base::encode::base64;
use bytes::Bytes;
use csp::Policy;
use http::{Request, Response, StatusCode, header};
pub(super) use minijinja::{Value as Variable, context};

/// What posts a `form_post` response. Its hash stands in the policy, so it must be the whole content of its element.
pub(super) const FORM_POST_SCRIPT: &str = "document.forms[0].submit()";

/// A page on its way to the browser.
pub(super) struct Page<'a> {
    template: &'static str,
    locale: &'static Locale,
    request: &'a Request<Bytes>,
    policy: Policy,
    script: &'static str,
    /// `no-referrer` would turn the `Origin` of our own forms into `null` (Fetch §3.1).
    referrer: &'static str,
}

impl<'a> Page<'a> {
    /// In the language the browser prefers.
    pub fn new(template: &'static str, request: &'a Request<Bytes>) -> Page<'a> {
        let locale = negotiate(&[], request.headers());
        Page { template, locale, request, policy: Policy::default(), script: "", referrer: "same-origin" }
    }

    /// In the first of `ui_locales` that is spoken here, if any (OpenID Connect Core §3.1.2.1).
    pub fn in_one_of(mut self, ui_locales: &[String]) -> Page<'a> {
        self.locale = negotiate(ui_locales, self.request.headers());
        self
    }

    /// Its forms may be sent, or redirected, to `uri` besides ourselves.
    pub fn posts_to(mut self, uri: &str) -> Page<'a> {
        self.policy.form_target(uri);
        self
    }

    /// It shows this picture.
    pub fn shows(mut self, uri: Option<&str>) -> Page<'a> {
        if let Some(uri) = uri {
            self.policy.image(uri);
        }
        self
    }

    /// It has a frame with `uri` in it.
    pub fn frames(mut self, uri: &str) -> Page<'a> {
        self.policy.frame(uri);
        self
    }

    /// It runs this script, and goes on to somebody else, who wants to see our origin.
    pub fn runs(mut self, script: &'static str) -> Page<'a> {
        self.policy.script(script);
        self.script = script;
        self.referrer = "strict-origin";
        self
    }

    pub fn locale(&self) -> &'static Locale {
        self.locale
    }

    /// `more` are the template's own variables, beside those every template has.
    pub fn render(self, op: &Op, status: StatusCode, more: Variable) -> Result<Response<Bytes>> {
        let nonce = base64(&op.random().bytes::<16>()?);
        let locale = self.locale;
        let common = context! {
            lang => locale.tag(),
            nonce => &nonce,
            script => self.script,
            place => op.settings.pages.name.as_deref().unwrap_or_else(|| op.host()),
            t => locale.function(),
        };
        let html = op.pages.render(self.template, context! { ..more, ..common })?;
        let mut response = Response::new(Bytes::from(html));
        *response.status_mut() = status;
        set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        set(&mut response, header::CONTENT_SECURITY_POLICY, &self.policy.header(&nonce));
        // For browsers that do not know frame-ancestors.
        set(&mut response, header::X_FRAME_OPTIONS, "DENY");
        set(&mut response, header::REFERRER_POLICY, self.referrer);
        Ok(response)
    }
}

/// The error page: never a redirect.
pub(super) fn error(op: &Op, error: &Error, request: &Request<Bytes>, peer: &Peer) -> Response<Bytes> {
    let title = match error.code {
        Code::NotFound => "error-not-found",
        Code::TooManyRequests | Code::TemporarilyUnavailable => "error-busy",
        Code::ServerError => "error-server",
        Code::AccessDenied => "error-denied",
        _ => "error-request",
    };
    let variables = context! {
        title => title,
        code => error.code.wire(),
        says => error.description(),
        request_id => &peer.request_id,
    };
    let page = Page::new("error.html", request).render(op, error.code.status(), variables);
    page.unwrap_or_else(|fault| {
        tracing::error!(request_id = %peer.request_id, cause = ?fault.cause, "the error page does not render");
        let mut response = Response::new(Bytes::from(error.description()));
        *response.status_mut() = error.code.status();
        set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        response
    })
}
