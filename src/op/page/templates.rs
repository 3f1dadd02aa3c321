//! The templates: those built in, and those of the operator's folder, which go first.

use crate::op::Fault;
use crate::op::error::{Result, server_error};
use crate::op::settings::Settings;
use minijinja::{Environment, Value};

/// Name and text of every template.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    ("base.html", include_str!("templates/base.html")),
    ("consent.html", include_str!("templates/consent.html")),
    ("create.html", include_str!("templates/create.html")),
    ("error.html", include_str!("templates/error.html")),
    ("form_post.html", include_str!("templates/form_post.html")),
    ("front_channel.html", include_str!("templates/front_channel.html")),
    ("login.html", include_str!("templates/login.html")),
    ("logout.html", include_str!("templates/logout.html")),
    ("otp.html", include_str!("templates/otp.html")),
    ("otp_enrol.html", include_str!("templates/otp_enrol.html")),
    ("recovery_codes.html", include_str!("templates/recovery_codes.html")),
    ("select_account.html", include_str!("templates/select_account.html")),
    ("signed_out.html", include_str!("templates/signed_out.html")),
];

/// The largest template that is read, in bytes.
const MAX: u64 = 1 << 20;

pub struct Templates {
    built_in: Environment<'static>,
    /// The operator's over the built-in ones, if there are any.
    themed: Option<Environment<'static>>,
}

impl Templates {
    /// Reads and compiles the operator's templates: what is wrong with one is found now, not when somebody signs in.
    pub fn load(settings: &Settings) -> std::result::Result<Templates, Fault> {
        let built_in = built_in()?;
        let Some(folder) = &settings.pages.templates else { return Ok(Templates { built_in, themed: None }) };
        let mut themed = built_in.clone();
        let fault = |path: &std::path::Path, what: String| Fault::Key {
            key: "op.pages.templates",
            says: format!("{}: {what}", path.display()),
        };
        if !folder.is_dir() {
            return Err(fault(folder, "is not a folder".into()));
        }
        for (name, _) in BUILT_IN {
            let path = folder.join(name);
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if about.len() > MAX {
                return Err(fault(&path, "is larger than 1 MiB".into()));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| fault(&path, error.to_string()))?;
            themed.add_template_owned(*name, text).map_err(|error| fault(&path, format!("{error:#}")))?;
        }
        Ok(Templates { built_in, themed: Some(themed) })
    }

    /// A template of the operator's that fails is logged and stood in for by the built-in one: people must be able to
    /// sign in.
    pub fn render(&self, name: &str, variables: Value) -> Result<String> {
        if let Some(themed) = &self.themed {
            match themed.get_template(name).and_then(|template| template.render(&variables)) {
                Ok(html) => return Ok(html),
                Err(error) => {
                    tracing::error!(template = name, error = %format!("{error:#}"), "a template fails")
                }
            }
        }
        let template = self.built_in.get_template(name).map_err(server_error)?;
        template.render(&variables).map_err(server_error)
    }
}

fn built_in() -> std::result::Result<Environment<'static>, Fault> {
    let mut environment = Environment::new();
    // By name: every template of ours is HTML, whatever an operator names an include.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    for (name, text) in BUILT_IN {
        let added = environment.add_template(name, text);
        added.map_err(|error| Fault::Setting(format!("{name}: {error:#}")))?;
    }
    Ok(environment)
}
