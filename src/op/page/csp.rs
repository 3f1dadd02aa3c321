//! The Content-Security-Policy of a page (CSP Level 3): nothing but what the page says it needs.

use crate::base::encode::base64;
use crate::base::secret::sha256;
use crate::base::uri;

#[derive(Default)]
pub struct Policy {
    forms: Vec<String>,
    images: Vec<String>,
    frames: Vec<String>,
    script: Option<String>,
}

impl Policy {
    /// Forms may end at `uri`: Chromium holds every redirect after a form to `form-action` too.
    pub fn form_target(&mut self, uri: &str) {
        self.forms.extend(source(uri));
    }

    pub fn image(&mut self, uri: &str) {
        self.images.extend(source(uri));
    }

    pub fn frame(&mut self, uri: &str) {
        self.frames.extend(source(uri).filter(|source| !self.frames.contains(source)));
    }

    pub fn script(&mut self, script: &str) {
        self.script = Some(format!("'sha256-{}'", base64(&sha256(script.as_bytes()))));
    }

    pub fn header(&self, nonce: &str) -> String {
        let list = |own: &[String]| own.iter().map(|source| format!(" {source}")).collect::<String>();
        let script = self.script.as_ref().map(|hash| format!("; script-src {hash}")).unwrap_or_default();
        let frames = match self.frames.as_slice() {
            [] => String::new(),
            some => format!("; frame-src{}", list(some)),
        };
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'{}{frames}{script}; form-action 'self'{}; \
             base-uri 'none'; frame-ancestors 'none'",
            list(&self.images),
            list(&self.forms),
        )
    }
}

/// The source expression for `uri`: its origin, or its scheme where there is no origin that CSP could name.
fn source(uri: &str) -> Option<String> {
    match uri::origin(uri) {
        // CSP Level 3 §2.3.1: a host source cannot be an IPv6 address.
        Some(origin) if !origin.contains('[') => Some(origin),
        _ => {
            let (scheme, _) = uri.split_once(':')?;
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
            (!scheme.is_empty() && scheme.chars().all(plain)).then(|| format!("{scheme}:"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_origin_or_a_scheme_and_nothing_else() {
        for (uri, expected) in [
            ("https://rp.example/cb?x=1", Some("https://rp.example")),
            ("https://127.0.0.1:8090/authz_cb/local", Some("https://127.0.0.1:8090")),
            ("http://[::1]:7000/cb", Some("http:")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("https://rp.example/; script-src *", Some("https:")),
            ("x; script-src *:y", None),
            ("'unsafe-inline':x", None),
        ] {
            assert_eq!(source(uri).as_deref(), expected, "{uri}");
        }
    }
}
