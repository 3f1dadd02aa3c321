//! Where a password comes from: the terminal, or the standard input. Never the arguments, which everybody on the
//! machine can read.

use super::Failure;
use super::args::Password;
use crate::base::secret::Secret;
use std::io::BufRead;

/// Longer input is no password.
const MAX: u64 = 4_096;

/// Asks for it (`twice`: for a new one), or reads the standard input to its first line end.
pub fn read(from: &Password, prompt: &str, twice: bool) -> Result<Secret, Failure> {
    let password = if from.password_stdin { piped(std::io::stdin().lock())? } else { asked(prompt, twice)? };
    if password.expose().is_empty() {
        return Err(Failure("the password is empty".into()));
    }
    Ok(password)
}

fn piped(input: impl BufRead) -> Result<Secret, Failure> {
    let mut line = String::new();
    input.take(MAX + 1).read_line(&mut line)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if u64::try_from(line.len()).unwrap_or(u64::MAX) > MAX {
        return Err(Failure(format!("the password is longer than {MAX} bytes")));
    }
    Ok(Secret::new(line))
}

fn asked(prompt: &str, twice: bool) -> Result<Secret, Failure> {
    let ask = |prompt: &str| {
        let asked = rpassword::prompt_password(format!("{prompt}: "));
        asked.map_err(|error| Failure(format!("no terminal to ask at ({error}): use --password-stdin")))
    };
    let first = ask(prompt)?;
    if twice && ask("Once more")? != first {
        return Err(Failure("the two were not the same".into()));
    }
    Ok(Secret::new(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piped_password_ends_with_its_line() {
        for (input, password) in
            [("secret", "secret"), ("secret\n", "secret"), ("a b \r\nrest", "a b "), ("\n", "")]
        {
            assert_eq!(piped(input.as_bytes()).unwrap().expose(), password);
        }
        assert!(piped("x".repeat(5_000).as_bytes()).is_err());
    }
}
