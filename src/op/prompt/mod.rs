//! What a person may be asked on the way to an authorization response: one file per prompt, one row each, in the
//! order in which they are asked.

use super::Op;
use super::endpoint::Call;
use super::error::{Code, Result};
use super::record::interaction::Interaction;
use super::record::session::Session;
use async_trait::async_trait;
use bytes::Bytes;
use http::Response;

/// What a prompt has to say about an interaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing to ask.
    Satisfied,
    /// Ask; with `prompt=none` this is the error instead.
    Ask(Code),
}

/// What came of a submitted form.
#[derive(Debug)]
pub enum Step {
    /// The interaction was changed (and stored): look at the prompts again.
    Next,
    /// Show this answer (the form once more, with what was wrong).
    Again(Response<Bytes>),
    /// The person said no: the authorization ends with this error.
    Refused(Code, &'static str),
}

/// A row of [`PROMPTS`].
#[async_trait]
pub trait Prompt: Sync + Send {
    /// Its name: also the form's `prompt` field, and the `prompt` value that forces it.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    async fn need(&self, op: &Op, interaction: &Interaction, session: Option<&Session>) -> Result<Need>;
    async fn show(&self, op: &Op, interaction: &Interaction, call: &Call<'_>) -> Result<Response<Bytes>>;
    async fn submit(&self, op: &Op, interaction: &mut Interaction, call: &Call<'_>) -> Result<Step>;
}

pub const PROMPTS: &[&dyn Prompt] = &[];
