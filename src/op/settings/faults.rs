//! What the provider's settings say that their types allow and their meaning does not. Paths start below `op`.

use super::paths::is_path;
use super::{Keys, Settings, disclosure, people};
use crate::base::uri;
use crate::jose::Algorithm;
use crate::op::response_type::{self, RESPONSE_TYPES};
use std::collections::HashSet;
use std::time::Duration;
use url::Url;

/// RFC 6749 §4.1.2: the longest life of a code.
const MAX_CODE: Duration = Duration::from_secs(600);
pub(super) type Found = Vec<(String, String)>;

impl Settings {
    /// Everything that is wrong: the path below `op`, and what to do.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut found = Found::new();
        // OpenID Connect Discovery §3, RFC 8414 §2.
        if !uri::is_https_url(&self.issuer) || self.issuer.contains('?') || self.issuer.ends_with('/') {
            let says = "must be an https URL without query, fragment or trailing slash, such as https://login.example";
            found.push(("issuer".into(), says.into()));
        }
        if !is_path(&self.mount) || self.mount.ends_with('/') {
            found.push((
                "mount".into(),
                "must be a path such as /oidcop: a slash first and none at its end".into(),
            ));
        }
        self.path_faults(&mut found);
        self.resources(&mut found);
        self.lifetimes(&mut found);
        people::faults(self, &mut found);
        self.keys(&mut found);
        self.webfinger.faults(&mut found);
        self.software_statements.faults(&mut found);
        self.response_types(&mut found);
        super::TokenExchange::faults(self, &mut found);
        self.jwt_bearer.faults(&self.issuer, &mut found);
        super::AuthorizationDetails::faults(self, &mut found);
        self.par.faults(&mut found);
        if let Some(mtls) = &self.mtls {
            mtls.faults(&self.issuer, &mut found);
        }
        if self.dpop.nonce_lifetime.0 < Duration::from_secs(60) {
            found.push(("dpop.nonce_lifetime".into(), "must be at least 1m".into()));
        }
        self.disclosure(&mut found);
        found
    }

    fn disclosure(&self, found: &mut Found) {
        disclosure::scope_faults("scopes", &self.scopes, found);
        self.claims.faults("claims", found);
        let known = self.known_scopes();
        for (client, rules) in &self.clients {
            rules.faults(&format!("clients.{client}"), &known, found);
        }
        disclosure::source_faults(&self.claim_sources, found);
    }

    /// RFC 8707 §2.
    fn resources(&self, found: &mut Found) {
        let mut seen = HashSet::new();
        for (nth, resource) in self.resources.iter().enumerate() {
            if Url::parse(&resource.uri).is_err() || uri::has_fragment(&resource.uri) {
                found.push((
                    format!("resources[{nth}].uri"),
                    "must be an absolute URI without fragment".into(),
                ));
            }
            if !seen.insert(&resource.uri) {
                found.push((format!("resources[{nth}].uri"), "is there twice: keep one of them".into()));
            }
        }
        if let Some(default) = self.default_resource.as_ref().filter(|default| !seen.contains(default)) {
            found.push((
                "default_resource".into(),
                format!("`{default}` is not the `uri` of one of the resources"),
            ));
        }
    }

    fn response_types(&self, found: &mut Found) {
        let known: Vec<_> = RESPONSE_TYPES.iter().map(|row| row.name).collect();
        for (nth, name) in self.response_types.iter().enumerate() {
            if response_type::find(name).is_none() {
                let says = format!("`{name}` is not a response type: known are {}", known.join(", "));
                found.push((format!("response_types[{nth}]"), says));
            }
        }
    }

    fn keys(&self, found: &mut Found) {
        let algorithms = &self.keys.algorithms;
        for needed in [Algorithm::RS256, Algorithm::ES256].iter().filter(|alg| !algorithms.contains(alg)) {
            found.push(("keys.algorithms".into(), format!("must hold {needed}")));
        }
        for (nth, alg) in algorithms.iter().enumerate() {
            let place = || format!("keys.algorithms[{nth}]");
            if !Keys::ALGORITHMS.contains(alg) {
                let known = Keys::ALGORITHMS.map(Algorithm::name).join(", ");
                found.push((place(), format!("is not signed with here: {known} are")));
            } else if algorithms.iter().take(nth).any(|before| before == alg) {
                found.push((place(), "is there twice: keep one of them".into()));
            }
        }
    }

    fn lifetimes(&self, found: &mut Found) {
        let lifetimes = &self.lifetimes;
        if lifetimes.code.0 > MAX_CODE {
            found.push(("lifetimes.code".into(), "must be at most 10m".into()));
        }
        for (name, span) in [
            ("code", lifetimes.code),
            ("access_token", lifetimes.access_token),
            ("id_token", lifetimes.id_token),
            ("refresh_token", lifetimes.refresh_token),
            ("refresh_token_total", lifetimes.refresh_token_total),
            ("session", lifetimes.session),
            ("session_idle", lifetimes.session_idle),
            ("interaction", lifetimes.interaction),
            ("consent", lifetimes.consent),
        ] {
            // Times are whole seconds: less than one is none.
            if span.0 < Duration::from_secs(1) {
                found.push((format!("lifetimes.{name}"), "must be at least 1s".into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::op::fixture::settings;

    fn paths(extra: &str) -> Vec<String> {
        settings(extra).faults().into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_value_that_cannot_work_is_a_fault_at_its_place() {
        for (extra, path) in [
            ("issuer: 'http://op.example'", "issuer"),
            ("issuer: 'https://op.example/'", "issuer"),
            ("issuer: 'https://op.example?a=b'", "issuer"),
            ("issuer: 'https://op.example#f'", "issuer"),
            ("issuer: op.example", "issuer"),
            ("mount: oidcop", "mount"),
            ("mount: /", "mount"),
            ("mount: /oidcop/", "mount"),
            ("paths: { introspektion: [/x] }", "paths.introspektion"),
            ("paths: { introspection: [x] }", "paths.introspection[0]"),
            ("resources: [{ uri: not a uri }]", "resources[0].uri"),
            ("resources: [{ uri: 'https://a/#b' }]", "resources[0].uri"),
            ("resources: [{ uri: 'https://a/' }, { uri: 'https://a/' }]", "resources[1].uri"),
            ("default_resource: 'https://nowhere.example'", "default_resource"),
            ("response_types: [code, tokens]", "response_types[1]"),
            ("par: { lifetime: 11m }", "par.lifetime"),
            ("lifetimes: { code: 3h }", "lifetimes.code"),
            ("lifetimes: { code: 0 }", "lifetimes.code"),
            ("keys: { algorithms: [RS256] }", "keys.algorithms"),
            ("keys: { algorithms: [ES256, EdDSA] }", "keys.algorithms"),
            ("keys: { algorithms: [RS256, ES256, RS384] }", "keys.algorithms[2]"),
            ("keys: { algorithms: [RS256, ES256, ES256] }", "keys.algorithms[2]"),
            ("lifetimes: { session: 500ms }", "lifetimes.session"),
            ("acr: [{ name: a, needs: [pwd, hwk] }]", "acr[0].needs[1]"),
            ("acr: [{ name: a b, needs: [pwd] }]", "acr[0].name"),
            ("acr: [{ name: a, needs: [pwd] }, { name: a, needs: [] }]", "acr[1].name"),
            ("passwords: { min_length: 65 }", "passwords.min_length"),
            ("dpop: { nonce_lifetime: 30s }", "dpop.nonce_lifetime"),
            ("scopes: { x: { claims: [y, acr] } }", "scopes.x.claims[1]"),
            ("claims: { id_token: [sub] }", "claims.id_token[0]"),
            ("clients: { rp: { scopes: { x: { claims: [aud] } } } }", "clients.rp.scopes.x.claims[0]"),
            ("clients: { rp: { allowed_scopes: [openid, mail] } }", "clients.rp.allowed_scopes[1]"),
            ("clients: { rp: { claims: { userinfo: [iss] } } }", "clients.rp.claims.userinfo[0]"),
            (
                "claim_sources: [{ name: '', claims: [x], distributed: { endpoint: 'https://a' } }]",
                "claim_sources[0].name",
            ),
            ("claim_sources: [{ name: a, claims: [x] }]", "claim_sources[0]"),
            (
                "claim_sources: [{ name: a, claims: [sub], aggregated: { record: x } }]",
                "claim_sources[0].claims[0]",
            ),
            (
                "claim_sources: [{ name: a, claims: [x, x], aggregated: { record: x } }]",
                "claim_sources[0].claims[1]",
            ),
            ("claim_sources: [{ name: a, claims: [x], aggregated: {} }]", "claim_sources[0].aggregated"),
            (
                "claim_sources: [{ name: a, claims: [x], aggregated: { url: 'http://a/' } }]",
                "claim_sources[0].aggregated.url",
            ),
            (
                "claim_sources: [{ name: a, claims: [x], aggregated: { url: 'https://{account}.a/' } }]",
                "claim_sources[0].aggregated.url",
            ),
            (
                "claim_sources: [{ name: a, claims: [x], distributed: { endpoint: a } }]",
                "claim_sources[0].distributed.endpoint",
            ),
            ("mtls: { origin: 'https://op.example' }", "mtls.origin"),
            ("mtls: { origin: 'https://op.example:8443/' }", "mtls.origin"),
            ("mtls: { origin: 'http://op.example:8443' }", "mtls.origin"),
        ] {
            assert_eq!(paths(extra), [path], "{extra}");
        }
    }

    #[test]
    fn what_works_is_none() {
        for extra in [
            "{}",
            "issuer: 'https://127.0.0.1:8000'",
            "issuer: 'https://op.example/tenant'",
            "paths: { introspection: [/oidcop/introspection, /introspection] }",
            "default_resource: 'https://api.example/'",
            "lifetimes: { client_secret: 0, code: 10m }",
            "acr: [{ name: 'urn:mfa', needs: [pwd, otp] }, { name: '2', needs: [mfa] }, { name: '1', needs: [] }]",
            "clients: { rp: { scopes: { own: { claims: [x] } }, allowed_scopes: [openid, own, api] } }",
            "claim_sources: [{ name: a, claims: [x], aggregated: { url: 'https://a/jwt?of={account}' } }]",
        ] {
            assert_eq!(paths(extra), Vec::<String>::new(), "{extra}");
        }
    }
}
