//! What the end-to-end tests stand on: the program under test, and everybody who talks to it.

pub mod foreign;
pub mod http;
pub mod landing;
pub mod party;
pub mod person;
pub mod server;
pub mod ticker;

pub use self::http::{Answer, Client, DEADLINE};
pub use party::{Party, Tokens};
pub use person::Person;
pub use server::{House, Server};
