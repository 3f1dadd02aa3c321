//! `resource` (RFC 8707 §2): the APIs the tokens are for. Without the parameter, scopes select them.

use super::Params;
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::token::audience::select;

const MAX: usize = 16;

/// The selected resources, by `uri`, each once.
pub(super) fn check(op: &Op, scope: &[String], params: &Params) -> Result<Vec<String>> {
    if params.all("resource").count() > MAX {
        return Err(Error::new(Code::InvalidTarget, "There are too many resources"));
    }
    select(&op.settings, params.all("resource"), scope)
}
